import { ServerConnection } from '@jupyterlab/services';

/** How requests leave: Jupyter's connection here; a test or another page brings its own. */
export interface ITransport {
  /** The server's address with its base path and a slash at the end. */
  readonly baseUrl: string;
  fetch(request: Request): Promise<Response>;
}

/** Send through Jupyter's connection, which adds the token and the XSRF header. */
export function jupyterTransport(settings: ServerConnection.ISettings): ITransport {
  return {
    baseUrl: settings.baseUrl,
    fetch: async request => {
      const init: RequestInit = { method: request.method, headers: request.headers, signal: request.signal };
      const body = request.method === 'GET' ? '' : await request.text();
      return ServerConnection.makeRequest(request.url, body === '' ? init : { ...init, body }, settings);
    }
  };
}

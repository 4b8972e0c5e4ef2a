export { DevStudioClient, type IFollow, type ILongCall } from './client';
export { readEvents, type ServerEvent } from './events';
export { ProblemError, asProblem, problemFrom, problemOf } from './problem';
export { jupyterTransport, type ITransport } from './transport';
export type * from './types';

import { LabIcon } from '@jupyterlab/ui-components';

/** Make an icon whose strokes follow the theme. */
function icon(name: string, body: string): LabIcon {
  return new LabIcon({
    name: `renum-devstudio:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">${body}</svg>`
  });
}

/** A document whose lines end in a tick: a spec that is proven. */
export const devstudioIcon = icon(
  'studio',
  '<path class="jp-icon3" fill="#616161" d="M5 2h9l5 5v4.3a6.5 6.5 0 0 0-2-.3V8h-4V4H7v16h5.2c.4.8.9 1.4 1.5 2H5V2zm3 8h6v2H8v-2zm0 4h4v2H8v-2zm8.2 6.7-2.9-2.9 1.4-1.4 1.5 1.5 3.9-3.9 1.4 1.4-5.3 5.3z"/>'
);

export const projectIcon = icon(
  'project',
  '<path class="jp-icon3" fill="#616161" d="M4 4h6l2 2h8v14H4V4zm2 4v10h12V8H6zm5 2h2v2h2v2h-2v2h-2v-2H9v-2h2v-2z"/>'
);

export const sessionIcon = icon(
  'session',
  '<path class="jp-icon3" fill="#616161" d="M6 2h8l5 5v15H5V2h1zm1 2v16h10V8h-4V4H7zm2 7h6v2H9v-2zm0 4h6v2H9v-2z"/>'
);

export const patchIcon = icon(
  'patch',
  '<path class="jp-icon3" fill="#616161" d="M11 3H3v18h8v2h2V1h-2v2zm0 16H5V5h6v14zM14 3h7v18h-7v-2h5V5h-5V3zM6 9h4v2H6V9zm10 0h-1v2h-1v2h1v2h2v-2h1v-2h-1V9h-1z"/>'
);

export const runIcon = icon(
  'run',
  '<path class="jp-icon3" fill="#616161" d="M3 4h18v16H3V4zm2 2v12h14V6H5zm2 3 1.4-1.4L11.8 11 8.4 14.4 7 13l2-2-2-2zm5 4h5v2h-5v-2z"/>'
);

export { AiClient } from './ai';
export { DevStudioClient, type ILongCall } from './client';
export { type IFollow } from './resumed';
export { readEvents, type ServerEvent } from './events';
export { PlanningClient } from './planning';
export { ProblemError, asProblem, problemFrom, problemOf } from './problem';
export { jupyterTransport, type ITransport } from './transport';
export type * from './types';

import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vitest/config';

const client = fileURLToPath(new URL('packages/api-client/src/index.ts', import.meta.url));

export default defineConfig({
  resolve: { alias: { '@renum/devstudio-api-client': client } },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' }
});

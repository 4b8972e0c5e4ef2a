import { expect, test } from 'vitest';

import { Changes } from '../src/model/changes';
import { StudioModel } from '../src/model/studio';
import { json, MemoryServer, session } from './support/server';

const LIST = 'GET spec-sessions';

function listing(versions: Record<string, number>): Response {
  return json({ items: [{ ...session(1), document_versions: versions }], next_cursor: null });
}

test('a session that is opened has its row in the tree', async () => {
  const server = new MemoryServer().on(LIST, () => listing({ requirements: 2, tasks: 1 }));
  const model = new StudioModel(server.client, new Changes());
  model.show(session(1));
  model.show(session(1)); // an open project is not loaded again
  const { project_id } = session(1);
  await expect.poll(() => model.sessions.get(project_id)?.items[0]?.document_versions).toEqual({ requirements: 2, tasks: 1 });
  expect(model.expanded.has(project_id)).toBe(true);
  expect(server.count(LIST)).toBe(1);
});

test('a session that could not be loaded opens nothing', () => {
  const model = new StudioModel(new MemoryServer().client, new Changes());
  model.show(null);
  expect(model.expanded.size).toBe(0);
});

test('a document that is written shows in the list', async () => {
  let versions: Record<string, number> = {};
  const server = new MemoryServer().on(LIST, () => listing(versions));
  const changes = new Changes();
  const model = new StudioModel(server.client, changes);
  const { id, project_id } = session(1);
  model.show(session(1));
  await expect.poll(() => model.sessions.get(project_id)?.items[0]?.document_versions).toEqual({});
  versions = { requirements: 1 };
  changes.emit({ kind: 'documents', sessionId: id });
  await expect.poll(() => model.sessions.get(project_id)?.items[0]?.document_versions).toEqual({ requirements: 1 });
});

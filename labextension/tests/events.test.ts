import { readEvents, type ServerEvent } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

async function read(pieces: readonly (string | Uint8Array)[]): Promise<ServerEvent[]> {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start: controller => {
      for (const piece of pieces) {
        controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece);
      }
      controller.close();
    }
  });
  const found: ServerEvent[] = [];
  for await (const each of readEvents(body)) {
    found.push(each);
  }
  return found;
}

test('events are read whole, wherever the network cuts them', async () => {
  const text = ': keep-alive\n\nevent: log\nid: 12\ndata: {"a": "é"}\n\ndata: two\ndata: lines\n\n';
  const bytes = new TextEncoder().encode(text);
  const expected = [
    { event: 'log', id: '12', data: '{"a": "é"}' },
    { event: 'message', id: '12', data: 'two\nlines' }
  ];
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(await read([bytes.slice(0, cut), bytes.slice(cut)])).toEqual(expected);
  }
});

test('an event that the end of the stream cut is dropped', async () => {
  expect(await read(['event: log\r\ndata: whole\r\n\r\nevent: log\r\ndata: cu'])).toEqual([
    { event: 'log', id: null, data: 'whole' }
  ]);
});

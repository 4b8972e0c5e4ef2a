import { expect, test } from 'vitest';

import { Operation } from '../src/model/operation';
import { StreamedText } from '../src/model/stream';
import { formatCost, localeOf } from '../src/ui/format';
import { event, events, MemoryServer, SESSION_ID } from './support/server';

const ANSWER = {
  requirements: '# Requirements\n\n1. "quoted" \\ and \u00e9 \u{1F600}',
  files: [{ path: 'a/b.py', content: 'x = {"y": [1, 2]}\n' }],
  n: -1.5,
  nothing: null,
  tasks: ''
};

function streamed(pieces: readonly string[]): StreamedText {
  const text = new StreamedText();
  pieces.forEach(piece => { text.push(piece, 'tool'); });
  return text;
}

test.each([1, 2, 3, 7, 1000])('the texts of an answer are read however it is cut (%i)', size => {
  // Escaped as the strictest encoder would, so that a cut goes through escapes, too.
  const json = JSON.stringify(ANSWER).replace(/[^ -~]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const pieces = json.match(new RegExp(`.{1,${String(size)}}`, 'g')) ?? [];
  expect(streamed(pieces).texts).toEqual([
    { name: 'requirements', text: ANSWER.requirements },
    { name: 'path', text: 'a/b.py' },
    { name: 'content', text: 'x = {"y": [1, 2]}\n' }
  ]);
});

test('what was cut is read as far as it came', () => {
  expect(streamed(['{"requirements": "# Requi']).texts).toEqual([{ name: 'requirements', text: '# Requi' }]);
  expect(streamed(['{"requirements": "a\\']).texts).toEqual([{ name: 'requirements', text: 'a' }]);
  expect(streamed(['}}}]', '{"a', '"', ': "b"}']).texts).toEqual([{ name: 'a', text: 'b' }]);
  expect(streamed(['{"requir']).isEmpty).toBe(true);
});

test('words and tools of several messages stay apart', () => {
  const text = new StreamedText();
  text.push('I read ', 'text');
  text.push('a file.', 'text');
  text.push('{"path": "a.py"}', 'tool');
  text.end();
  text.push('{"summary": "Done', 'tool');
  expect(text.plain).toBe('I read a file.\n\npath:\na.py\n\nsummary:\nDone');
});

const delta = (text: string): string => event('progress', { phase: 'delta', kind: 'tool', text });

test('what came before a stop stays, and goes with the next call', async () => {
  const server = new MemoryServer();
  const operation = new Operation(() => undefined);
  const seen: string[] = [];
  server.on('POST plan', () => events([event('progress', { phase: 'model', message: 'Asking' }), delta('{"design": "# De'), delta('sign')]));
  const run = (): Promise<unknown> =>
    operation.run(listen =>
      server.client.plan({ session_id: SESSION_ID, stage: 'design' }, {
        ...listen,
        onProgress: progress => {
          listen.onProgress?.(progress);
          seen.push(operation.streamed.plain);
          if (operation.streamed.plain.endsWith('# Design')) {
            operation.stop();
          }
        }
      })
    );
  expect(await run()).toBeNull();
  expect(seen).toEqual(['', 'design:\n# De', 'design:\n# Design']);
  // The connection of this server ends by itself, so that the stop and the end come together; the text counts.
  expect([operation.leftPartial, operation.streamed.plain, operation.progress.message]).toEqual([true, 'design:\n# Design', 'Asking']);

  server.on('POST plan', () => events([event('error', { title: 'Busy', status: 503, detail: '' })]));
  expect(await run()).toBeNull();
  expect([operation.leftPartial, operation.stopped, operation.error?.title]).toEqual([false, false, 'Busy']);
});

test('money is written as the language writes numbers', () => {
  expect([formatCost(12.34, 'pt-BR'), formatCost(12.34, 'en'), formatCost(0, 'pt-BR')]).toEqual([
    'US$\u00a012,34',
    'US$\u00a012.34',
    'US$\u00a00,00'
  ]);
  expect(formatCost(0.00123, 'pt-BR')).toBe('US$\u00a00,00123');
  expect([localeOf('pt_BR'), localeOf('default'), localeOf(''), localeOf('en')]).toEqual(['pt-BR', undefined, undefined, 'en']);
});

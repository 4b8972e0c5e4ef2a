import { expect, test } from 'vitest';

import { isEdited, isTakenApart, mergeCells, sameCells, smallestChange, type ISyncCell } from '../src/model/sync-notebook';

/** Cells written as `id:source id:source`. */
function cells(text: string): ISyncCell[] {
  return text
    .split(' ')
    .filter(part => part !== '')
    .map(part => {
      const [id = '', source = ''] = part.split(':');
      return { id, source, flags: '' };
    });
}

/** What `merge` makes, written the same way. */
function merged(base: string, here: string, file: string): string | null {
  const [mine, theirs] = [cells(here), cells(file)];
  const result = mergeCells(cells(base), mine, theirs);
  return (
    result
      ?.map(({ id, from }) => `${id}:${(from === 'here' ? mine : theirs).find(cell => cell.id === id)?.source ?? '?'}`)
      .join(' ') ?? null
  );
}

test.each([
  ['nothing was typed', 'a:1 b:2', 'a:1 b:2', 'a:1 b:3 c:4', 'a:1 b:3 c:4'],
  ['nothing changed in the file', 'a:1 b:2', 'a:1 b:typed', 'a:1 b:2', 'a:1 b:typed'],
  ['different cells', 'a:1 b:2 c:3', 'a:typed b:2 c:3', 'a:1 b:2 c:4', 'a:typed b:2 c:4'],
  ['the same edit twice', 'a:1', 'a:2', 'a:2', 'a:2'],
  ['a cell added here, another in the file', 'a:1 b:2', 'a:1 x:typed b:2', 'a:1 b:2 c:3', 'a:1 x:typed b:2 c:3'],
  ['a cell added in front', 'a:1', 'x:typed a:1', 'a:1 b:2', 'x:typed a:1 b:2'],
  ['a cell removed in the file', 'a:1 b:2 c:3', 'a:typed b:2 c:3', 'a:1 c:3', 'a:typed c:3'],
  ['a cell removed here', 'a:1 b:2 c:3', 'a:1 c:3', 'a:1 b:2 c:4', 'a:1 c:4'],
  ['cells moved here', 'a:1 b:2 c:3', 'c:3 a:1 b:2', 'a:1 b:5 c:3 d:4', 'c:3 d:4 a:1 b:5'],
  ['cells moved in the file', 'a:1 b:2 c:3', 'a:1 b:typed c:3', 'c:3 a:1 b:2', 'c:3 a:1 b:typed']
])('%s', (_, base, here, file, expected) => {
  expect(merged(base, here, file)).toBe(expected);
});

test.each([
  ['both changed a cell', 'a:1', 'a:typed', 'a:2'],
  ['typed in a cell that the file lost', 'a:1 b:2', 'a:1 b:typed', 'a:1'],
  ['removed here, changed in the file', 'a:1 b:2', 'a:1', 'a:1 b:3'],
  ['both moved cells', 'a:1 b:2 c:3', 'b:2 a:1 c:3', 'c:3 a:1 b:2'],
  ['both added a cell of one name', 'a:1', 'a:1 x:typed', 'a:1 x:other']
])('nothing is taken over where %s', (_, base, here, file) => {
  expect(merged(base, here, file)).toBeNull();
});

test.each([
  ['into two', 'One\n\nTwo words', ['One', '  Two\nwords <!-- id:k47qqrht5k -->'], true],
  ['and more was typed since', 'One\nTwo, and more', ['One', 'Two'], true],
  ['not at all', 'One\nTwo', ['One\nTwo'], false],
  ['while another cell was added', 'One\nTwo', ['One\nTwo', 'Three'], false],
  ['while an empty one was added', 'One', ['One', ''], false]
])('a cell is taken apart: %s', (_, source, parts, expected) => {
  const here = [{ id: 'a', source, flags: '' }, ...cells('z:9')];
  const file = parts.map((part, at) => ({ id: ['a', 'b'][at] ?? '', source: part, flags: '' }));
  expect(isTakenApart('a', here, [...file, ...cells('z:9')])).toBe(expected);
});

test('no text that was typed is ever lost, whatever the file says', () => {
  const random = generator(7);
  const pick = (most: number): number => Math.floor(random() * most);
  for (let round = 0; round < 1000; round++) {
    const base = 'abcde'.slice(0, 1 + pick(5)).split('').map(id => `${id}:base`);
    const side = (name: string): string[] => {
      const changed = base.map(cell => (pick(4) === 0 ? `${cell[0] ?? ''}:${name}${String(round)}` : cell));
      const fewer = changed.filter(() => pick(6) > 0);
      const at = pick(fewer.length + 1);
      return pick(3) === 0 ? [...fewer.slice(0, at), `${name}:${name}new`, ...fewer.slice(at)] : fewer;
    };
    const [here, file] = [side('h'), side('f')];
    const result = merged(base.join(' '), here.join(' '), file.join(' '));
    if (result !== null) {
      for (const typed of here.filter(cell => cell.includes(':h'))) {
        expect(result.split(' ')).toContain(typed);
      }
      for (const written of file.filter(cell => cell.includes(':f'))) {
        expect(result.split(' ')).toContain(written);
      }
      expect(new Set(result.split(' ').map(cell => cell[0])).size).toBe(result === '' ? 1 : result.split(' ').length);
    }
  }
});

test('a new cell that the server named after its block is still the cell that was typed', () => {
  const here = [...cells('a:1'), { id: 'x1', source: '- [ ] 3. Go on', flags: '' }];
  const file = [...cells('a:1'), { id: 'block-3', source: '- [ ] 3. Go on <!-- id:block-3 -->', flags: '' }];
  const found = sameCells(here, file, new Map());
  expect([...found]).toEqual([['block-3', 'x1']]);
  const later = [...cells('a:1'), { id: 'block-3', source: 'changed', flags: '' }];
  expect([...sameCells(here, later, found)]).toEqual([['block-3', 'x1']]);
  expect([...sameCells(cells('a:1'), later, found)]).toEqual([]);
  expect([...sameCells(cells('a:1 b:2'), cells('a:1 c:3'), new Map())]).toEqual([]);
});

test('whether something was typed', () => {
  expect(isEdited(cells('a:1 b:2'), cells('a:1 b:2'))).toBe(false);
  expect(isEdited(cells('a:1 b:2'), cells('b:2 a:1'))).toBe(true);
  expect(isEdited(cells('a:1'), cells('a:1 b:2'))).toBe(true);
  expect(isEdited([{ id: 'a', source: '1', flags: '' }], [{ id: 'a', source: '1', flags: 'restricted' }])).toBe(true);
});

test('only what differs is replaced', () => {
  expect(smallestChange('one two three', 'one 2 three')).toEqual({ start: 4, end: 7, text: '2' });
  expect(smallestChange('aa', 'aaa')).toEqual({ start: 2, end: 2, text: 'a' });
  expect(smallestChange('same', 'same')).toEqual({ start: 4, end: 4, text: '' });
});

/** Numbers that look random and are the same each time (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

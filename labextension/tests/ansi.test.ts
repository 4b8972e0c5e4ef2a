import { expect, test } from 'vitest';

import { PlainText } from '../src/model/ansi';

test('colours, titles and control characters leave only the text, wherever a piece is cut', () => {
  const text = '\u001b[1;31mred\u001b[0m\r\n\u001b]0;title\u0007a\u0000b\r50%\r100%\n\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\<b>';
  for (let cut = 0; cut <= text.length; cut++) {
    const plain = new PlainText();
    expect(plain.push(text.slice(0, cut)) + plain.push(text.slice(cut))).toBe('red\nab\n50%\n100%\nlink<b>');
  }
});

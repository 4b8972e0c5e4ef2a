/** A text that JSON holds, and the name of the member that it is the value of. */
export interface IText {
  name: string;
  text: string;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '', b: '', f: '' };

/**
 * Finds the texts in JSON that comes piece by piece, each as far as it has come. One document may follow another; what is
 * no JSON yields no text.
 */
export class JsonTexts {
  readonly texts: IText[] = [];

  push(piece: string): void {
    for (const char of piece) {
      if (this.text === null) {
        this.between(char);
      } else {
        this.within(char, this.text);
      }
    }
  }

  private between(char: string): void {
    if (char === '"') {
      this.text = { name: this.name, text: '' };
      if (!this.awaitsName) {
        this.texts.push(this.text);
      }
    } else if (char === '{' || char === '[') {
      this.open.push({ object: char === '{', name: this.name });
      this.awaitsName = char === '{';
    } else if (char === '}' || char === ']') {
      this.name = this.open.pop()?.name ?? '';
      this.awaitsName = false;
    } else if (char === ',') {
      this.awaitsName = this.open.at(-1)?.object ?? false;
    } else if (char === ':') {
      this.awaitsName = false;
    }
  }

  private within(char: string, target: IText): void {
    if (this.hex !== null) {
      this.hex += char;
      if (this.hex.length === 4) {
        const code = Number.parseInt(this.hex, 16);
        target.text += Number.isNaN(code) ? '' : String.fromCharCode(code);
        this.hex = null;
      }
    } else if (this.escaped) {
      this.escaped = false;
      if (char === 'u') {
        this.hex = '';
      } else {
        target.text += ESCAPES[char] ?? char;
      }
    } else if (char === '\\') {
      this.escaped = true;
    } else if (char === '"') {
      this.name = this.awaitsName ? target.text : this.name;
      this.text = null;
    } else {
      target.text += char;
    }
  }

  private readonly open: { object: boolean; name: string }[] = [];
  private name = '';
  private awaitsName = false;
  private text: IText | null = null;
  private escaped = false;
  private hex: string | null = null;
}

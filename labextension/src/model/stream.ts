import { JsonTexts, type IText } from './json-texts';

/** What a model said in one go: words of its own, or what it fills into a tool. */
type Kind = 'text' | 'tool';

/** The words of a model as they come, readable at any moment, also when the rest never comes. */
export class StreamedText {
  /** The texts so far, in order; a text of a tool's argument has that argument's name. */
  get texts(): readonly IText[] {
    return this.parts.flatMap(part => part.texts).filter(({ text }) => text !== '');
  }

  get isEmpty(): boolean {
    return this.texts.length === 0;
  }

  /** All of it as one text, for the clipboard. */
  get plain(): string {
    return this.texts.map(({ name, text }) => (name === '' ? text : `${name}:\n${text}`)).join('\n\n');
  }

  push(text: string, kind: Kind): void {
    const last = this.parts.at(-1);
    const part = last?.kind === kind && !this.ended ? last : this.begin(kind);
    this.ended = false;
    part.push(text);
  }

  /** The model is asked anew: what comes next is another message. */
  end(): void {
    this.ended = true;
  }

  private begin(kind: Kind): IPart {
    const part = kind === 'tool' ? new ToolPart() : new TextPart();
    this.parts.push(part);
    return part;
  }

  private readonly parts: IPart[] = [];
  private ended = false;
}

interface IPart {
  readonly kind: Kind;
  readonly texts: readonly IText[];
  push(text: string): void;
}

class TextPart implements IPart {
  readonly kind = 'text';
  readonly texts = [{ name: '', text: '' }];

  push(text: string): void {
    for (const only of this.texts) {
      only.text += text;
    }
  }
}

class ToolPart implements IPart {
  readonly kind = 'tool';

  get texts(): readonly IText[] {
    return this.json.texts;
  }

  push(text: string): void {
    this.json.push(text);
  }

  private readonly json = new JsonTexts();
}

import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const LABEL_CHARS = 11;
const INDENT = '   ';

/** Lines for people; coloured on a terminal alone (and not with NO_COLOR). */
export class Printer {
  readonly #out: NodeJS.WriteStream;
  #steps = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  /** How far the story has come. */
  get steps(): number {
    return this.#steps;
  }

  line(text = ''): void {
    this.#out.write(`${text}\n`);
  }

  title(text: string): void {
    this.line(this.#paint('bold', text));
  }

  /** What is being set up, before it is. */
  part(label: string, text: string): void {
    this.line(`${INDENT}${this.#paint('cyan', label.padEnd(LABEL_CHARS))}${text}`);
  }

  step(title: string): void {
    this.#steps += 1;
    this.line();
    this.title(`${this.#steps}. ${title}`);
  }

  say(text: string): void {
    this.line(`${INDENT}${text}`);
  }

  /** Something that was seen to be so. */
  seen(text: string): void {
    this.line(`${INDENT}${this.#paint('green', 'seen')}  ${text}`);
  }

  /** A command as one would type it. */
  command(text: string): void {
    this.line(`${INDENT}${this.#paint('bold', `$ ${text}`)}`);
  }

  /** SQL, JSON, a program's output: monospaced, indented, and otherwise as it is. */
  block(text: string, style: Style = 'yellow'): void {
    for (const line of text.trimEnd().split('\n')) {
      this.line(`${INDENT}  ${this.#paint(style, line)}`);
    }
  }

  json(value: unknown): void {
    this.block(JSON.stringify(value, null, 2));
  }

  /** Columns as wide as their widest cell; the first row is the heading. */
  table(rows: readonly (readonly string[])[]): void {
    const widths = (rows[0] ?? []).map((_, column) =>
      Math.max(...rows.map((row) => (row[column] ?? '').length)),
    );
    for (const [index, row] of rows.entries()) {
      const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0));
      const text = cells.join('  ').trimEnd();
      this.line(INDENT + (index === 0 ? this.#paint('underline', text) : text));
    }
  }

  problem(text: string): void {
    this.line();
    this.line(this.#paint('red', text));
  }

  #paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out });
  }
}

/** `7.3 ms`, `0.42 s`. */
export function duration(ms: number): string {
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

export const count = (number: number, thing: string): string =>
  `${number} ${thing}${number === 1 ? '' : 's'}`;

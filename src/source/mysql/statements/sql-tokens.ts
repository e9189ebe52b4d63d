/** The parts of a statement that matter to who wants to know which tables it names. */
export type Token =
  /** A keyword or a bare name, as it is spelled. */
  | { kind: 'word'; text: string }
  /** A quoted name, without its quotes. */
  | { kind: 'name'; text: string }
  | { kind: 'string' }
  | { kind: 'sign'; text: string };

/** How a session reads quotes (its sql_mode). */
export interface Quoting {
  /** `"` quotes names, as backticks do, and not strings. */
  ansiQuotes: boolean;
  /** A backslash in a string is a letter as any other. */
  noBackslashEscapes: boolean;
}

export interface Tokens {
  tokens: readonly Token[];
  /** Parts stand in comments that servers of some versions run, as in `/*!80000 … *\/`. */
  hasVersionComment: boolean;
}

const WORD = /[\p{L}\p{N}_$\u0080-\uffff]+/uy;
const LINE_COMMENT = /(?:#|--(?=[\s\p{Cc}]|$))[^\n]*/uy;
const COMMENT = /\/\*(?!M?!)(?:[^*]|\*(?!\/))*(?:\*\/|$)/y;
const VERSION_COMMENT = /\/\*M?!\d*/y;
const SPACE = /[\s\p{Cc}]+/uy;

/** The closing quote's index; a text that ends before it ends there. */
function closing(text: string, at: number, quote: string, hasEscapes: boolean): number {
  let i = at;
  while (i < text.length) {
    if (hasEscapes && text[i] === '\\') i += 2;
    else if (text[i] !== quote) i += 1;
    else if (text[i + 1] === quote) i += 2;
    else return i;
  }
  return text.length;
}

/**
 * Reads a statement of MySQL or MariaDB. Comments are left out, but for those that a server may run:
 * what stands in them counts. Never throws: whatever is no SQL comes as words and signs.
 */
export function tokenize(text: string, quoting: Quoting): Tokens {
  const tokens: Token[] = [];
  let hasVersionComment = false;
  let at = 0;
  const skip = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  };
  while (at < text.length) {
    if (skip(SPACE) !== null || skip(LINE_COMMENT) !== null || skip(COMMENT) !== null) continue;
    if (skip(VERSION_COMMENT) !== null) {
      hasVersionComment = true;
      continue;
    }
    if (hasVersionComment && text.startsWith('*/', at)) {
      at += 2;
      continue;
    }
    const word = skip(WORD);
    if (word !== null) {
      tokens.push({ kind: 'word', text: word });
      continue;
    }
    const sign = text[at] ?? '';
    at += 1;
    const isName = sign === '`' || (sign === '"' && quoting.ansiQuotes);
    if (!isName && sign !== "'" && sign !== '"') {
      tokens.push({ kind: 'sign', text: sign });
      continue;
    }
    const end = closing(text, at, sign, !isName && !quoting.noBackslashEscapes);
    const inside = text.slice(at, end);
    at = end + 1;
    if (isName) tokens.push({ kind: 'name', text: inside.replaceAll(sign + sign, sign) });
    else tokens.push({ kind: 'string' });
  }
  return { tokens, hasVersionComment };
}

/** Whether the token is this keyword, in any case. */
export function isWord(token: Token | undefined, ...words: readonly string[]): boolean {
  return token?.kind === 'word' && words.includes(token.text.toUpperCase());
}

export function isSign(token: Token | undefined, sign: string): boolean {
  return token?.kind === 'sign' && token.text === sign;
}

const textOf = (token: Token | undefined): string | null =>
  token?.kind === 'word' || token?.kind === 'name' ? token.text : null;

/** A name as a statement has it: of the default schema where it says none. */
export interface TableName {
  schema: string | null;
  name: string;
}

/** The name that begins at this token (`a`, `a.b`, `.b`), and the index after it; null: none. */
export function nameAt(
  tokens: readonly Token[],
  at: number,
): { table: TableName; after: number } | null {
  // ODBC's way to say "of the default schema".
  const first = isSign(tokens[at], '.') ? at + 1 : at;
  const one = textOf(tokens[first]);
  if (one === null) return null;
  if (!isSign(tokens[first + 1], '.')) {
    return { table: { schema: null, name: one }, after: first + 1 };
  }
  const two = textOf(tokens[first + 2]);
  if (two === null) return { table: { schema: null, name: one }, after: first + 1 };
  return { table: { schema: one, name: two }, after: first + 3 };
}

/** Every name between two tokens, keywords too: `a`, and `a.b` with what may follow it. */
export function namesIn(tokens: readonly Token[], from: number, to: number): TableName[] {
  const names: TableName[] = [];
  for (let at = from; at < to;) {
    const found = nameAt(tokens, at);
    if (found === null) {
      at += 1;
      continue;
    }
    names.push(found.table);
    at = found.after;
    // What follows is a column of it.
    while (isSign(tokens[at], '.')) at += 2;
  }
  return names;
}

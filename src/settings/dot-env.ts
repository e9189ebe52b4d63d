import { parseEnv } from 'node:util';

const ASSIGNMENT = /^[^\S\r\n]*(?:export[^\S\r\n]+)?([\w.-]+)[^\S\r\n]*=([^\r\n]*)/;
const QUOTES = /^["'`]/;

/**
 * The values of a `.env` file. `#` begins a comment at the start of a line and after a blank, so an
 * unquoted value may hold one; a value in quotes (`'`, `"` or a backtick; in `"`, `\n` is a line
 * break) is taken as it stands, over several lines too. A name that comes twice has its last value.
 */
export function parseDotEnv(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (let at = 0; at < text.length;) {
    const rest = text.slice(at);
    const lineEnd = endOfLine(rest, 0);
    const [line = '', name, raw] = ASSIGNMENT.exec(rest) ?? [];
    if (name === undefined || raw === undefined) {
      at += lineEnd;
      continue;
    }
    const valueAt = line.length - raw.trimStart().length;
    const closingAt = QUOTES.test(rest.slice(valueAt))
      ? rest.indexOf(rest.charAt(valueAt), valueAt + 1)
      : -1;
    if (closingAt > 0) {
      const fragment = rest.slice(0, endOfLine(rest, closingAt));
      values.set(name, parseEnv(fragment)[name] ?? '');
      at += fragment.length;
    } else {
      values.set(name, raw.replace(/\s#.*$/, '').trim());
      at += lineEnd;
    }
  }
  return values;
}

/** Where the line that holds this place ends, its line break included. */
function endOfLine(text: string, place: number): number {
  const found = text.indexOf('\n', place);
  return found < 0 ? text.length : found + 1;
}

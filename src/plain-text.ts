/** Text from elsewhere, made fit to be shown: every function here takes linear time. */

/** What moves a cursor, colours, reorders or hides text on a terminal: C0, DEL, C1, and format characters. */
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\0-\x1F\x7F-\x9F\xAD\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF]/g;
const SECRET_CHARS_MIN = 6;
/** Nearly everything else may stand in the local part of an address. */
const BETWEEN_WORDS = /[\s<>]/;

function escaped(char: string): string {
  if (char === '\n') return String.raw`\n`;
  if (char === '\t') return String.raw`\t`;
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** One line without control or format characters, which are shown as escapes. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** The same for text that consists of lines of ours: line breaks stay. */
export function plainLines(text: string): string {
  return text.split('\n').map(oneLine).join('\n');
}

/** JSON that reads back the same, with nothing in it that a terminal would obey. */
export function plainJson(value: unknown, indent = 0): string {
  const text = JSON.stringify(value, null, indent);
  return indent === 0 ? oneLine(text) : plainLines(text);
}

/** MySQL's 'user'@'host' and @@variable, and npm's node_modules/@scope, are no addresses. */
function isAddress(local: string, next: string | undefined): boolean {
  return !/^@*$|node_modules\/$/.test(local) && next !== "'" && next !== '`';
}

/** Every word with an @ in it (or %40, as in a URL) becomes `(address)`. */
export function withoutAddresses(text: string): string {
  let result = '';
  let done = 0;
  let floor = 0;
  for (const { index } of text.matchAll(/@|%40/g)) {
    if (index < done) continue;
    let begin = index;
    while (begin > floor && !BETWEEN_WORDS.test(text[begin - 1] ?? ' ')) begin -= 1;
    floor = index + 1;
    if (!isAddress(text.slice(begin, index), text[index + 1])) continue;
    let end = index;
    while (end < text.length && !BETWEEN_WORDS.test(text[end] ?? ' ')) end += 1;
    result += `${text.slice(done, begin)}(address)`;
    done = end;
    floor = end;
  }
  return result + text.slice(done);
}

/**
 * Takes these secrets out of any text, also where they are written as in JSON or in a URL. A secret
 * of less than 6 characters is not looked for: it would be found in ordinary words.
 */
export function secretRemover(secrets: readonly string[]): (text: string) => string {
  const long = secrets.filter((secret) => secret.length >= SECRET_CHARS_MIN);
  const forms = long.flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
  ]);
  const distinct = [...new Set(forms)].sort((a, b) => b.length - a.length);
  return (text) => distinct.reduce((rest, secret) => rest.replaceAll(secret, '(secret)'), text);
}

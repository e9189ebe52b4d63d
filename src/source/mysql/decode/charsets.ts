import iconv from 'iconv-lite';

/** Character sets as the server itself knows them. */
export interface Charsets {
  /** Names, by the id of their collations. */
  byCollation: Map<number, string>;
  /** Of those of one byte a character: the text of all 256 bytes, in order. */
  texts: Map<string, string>;
}

/**
 * All collations, then (MariaDB from 10.10 on) those that have one id for each character set: the
 * first table has no ids of them. Servers without the second one's column refuse that query.
 */
export const COLLATION_QUERIES = [
  'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS',
  'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY',
] as const;

/** Character sets of one byte a character (information_schema.CHARACTER_SETS, MAXLEN). */
const SINGLE_BYTE = [
  ['armscii8', 'ascii', 'cp1250', 'cp1251', 'cp1256', 'cp1257', 'cp850', 'cp852', 'cp866'],
  ['dec8', 'geostd8', 'greek', 'hebrew', 'hp8', 'keybcs2', 'koi8r', 'koi8u', 'latin1'],
  ['latin2', 'latin5', 'latin7', 'macce', 'macroman', 'swe7', 'tis620'],
].flat();

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('hex');

/** One row, with the text of all bytes under the name of each character set. */
export const TEXTS_QUERY = `SELECT ${SINGLE_BYTE.map(
  (charset) => `CONVERT(CONVERT(X'${ALL_BYTES}' USING ${charset}) USING utf8mb4) AS ${charset}`,
).join()}`;

/** Of columns without text. */
export const BINARY = 'binary';

/** How the bytes of a character set become the bytes of JSON text. */
export type TextReading =
  /** They are UTF-8, or meant to be read as it. */
  | { kind: 'utf8' }
  /** For each byte what it is within a JSON string, in UTF-8. */
  | { kind: 'bytes'; json: readonly Buffer[] }
  | { kind: 'decoded'; decode: (bytes: Buffer) => string };

const UTF8: TextReading = { kind: 'utf8' };
const UTF8_CHARSETS: ReadonlySet<string> = new Set(['utf8mb4', 'utf8mb3', 'utf8', BINARY]);

/** MySQL's names that iconv-lite has under another one; latin1 is cp1252 there. */
const ICONV_NAMES: Readonly<Record<string, string>> = {
  latin1: 'cp1252',
  ucs2: 'utf16-be',
  utf16: 'utf16-be',
  utf16le: 'utf16-le',
  utf32: 'utf32-be',
  ujis: 'eucjp',
  eucjpms: 'eucjp',
  macce: 'maccenteuro',
};

/**
 * How text of this character set is read: those of one byte by the server's own table. A set that
 * is not known is read as UTF-8.
 */
export function textReadingOf(charset: string, { texts }: Charsets): TextReading {
  if (UTF8_CHARSETS.has(charset)) return UTF8;
  const characters = Array.from(texts.get(charset) ?? '');
  if (characters.length === 256) return { kind: 'bytes', json: characters.map(inJson) };
  const name = ICONV_NAMES[charset] ?? charset;
  if (!iconv.encodingExists(name)) return UTF8;
  // A leading U+FEFF is part of the text, and no mark of a byte order.
  return { kind: 'decoded', decode: (bytes) => iconv.decode(bytes, name, { stripBOM: false }) };
}

const inJson = (text: string): Buffer => Buffer.from(JSON.stringify(text).slice(1, -1));

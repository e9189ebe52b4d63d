/** A column's value as it goes into dataFields. */
export type FieldValue =
  | string
  | number
  | boolean
  | null
  | readonly FieldValue[]
  | { readonly [name: string]: FieldValue };

/** What a column's values become: see `fieldValue`. */
export type ValueKind = 'integer' | 'decimal' | 'float' | 'json' | 'time' | 'text';

const KINDS: Readonly<Record<string, ValueKind>> = {
  tinyint: 'integer',
  smallint: 'integer',
  mediumint: 'integer',
  int: 'integer',
  bigint: 'integer',
  year: 'integer',
  bit: 'integer',
  decimal: 'decimal',
  float: 'float',
  double: 'float',
  json: 'json',
  datetime: 'time',
  timestamp: 'time',
};

/** By DATA_TYPE, as information_schema.COLUMNS has it. */
export const kindOfType = (dataType: string): ValueKind => KINDS[dataType.toLowerCase()] ?? 'text';

/** `YYYY-MM-DD HH:MM:SS`: fractions are cut off. */
const TIME_CHARACTERS = 19;
/** Numbers from here on have neighbours that a double cannot tell apart. */
const EXACT_MAX = 2n ** 53n;

/**
 * A value as mysql2 has it (numbers above 2^53, decimals, times and JSON as text; binary as bytes).
 * Numbers become numbers, whole and decimal ones beyond 2^53 their digits as text; JSON stays what it
 * is; times are `YYYY-MM-DD HH:MM:SS`, in the session's time zone; all else is text. Never throws.
 */
export function fieldValue(kind: ValueKind, value: unknown): FieldValue {
  if (value === null || value === undefined) return null;
  switch (kind) {
    case 'integer':
      return exactNumber(Buffer.isBuffer(value) ? bitsOf(value) : value);
    case 'decimal':
      return exactNumber(value);
    case 'json':
      return typeof value === 'string' ? parseExact(value) : plainValue(value);
    case 'time':
      return String(plainValue(value)).slice(0, TIME_CHARACTERS);
    case 'float':
    case 'text':
      return plainValue(value);
  }
}

/** The bytes of a BIT column. */
function bitsOf(bytes: Buffer): string {
  return bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n).toString();
}

function exactNumber(value: unknown): FieldValue {
  if (typeof value !== 'string' && typeof value !== 'number') return plainValue(value);
  const [whole = ''] = String(value).split('.');
  // The text of another type, which the column has had since it was looked at.
  if (!/^-?\d+$/.test(whole)) return value;
  const number = Number(value);
  if (Number.isNaN(number)) return value;
  return BigInt(whole.replace('-', '')) > EXACT_MAX ? String(value) : number;
}

function plainValue(value: unknown): FieldValue {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  return JSON.stringify(value);
}

/** Whole numbers beyond 2^53 in it are kept to the digit, as strings. */
function parseExact(text: string): FieldValue {
  try {
    return JSON.parse(text, (_name, value: unknown, context?: { source?: string }) =>
      isInexact(value, context?.source) ? context?.source : value,
    ) as FieldValue;
  } catch {
    return text;
  }
}

const isInexact = (value: unknown, source: string | undefined): boolean =>
  typeof value === 'number' &&
  source !== undefined &&
  /^-?\d{16,}$/.test(source) &&
  BigInt(source.replace('-', '')) > EXACT_MAX;

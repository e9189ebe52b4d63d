/**
 * A transaction's GTID in two parts, since transactions of one source follow one another: no text
 * is made of each.
 */
export interface Gtid {
  /** What all of one source begin with: `uuid:`, `uuid:tag:`, MariaDB's `domain-server-`. */
  readonly source: string;
  /** Exact: a number up to 2^53. */
  readonly number: number | bigint;
}

export const gtidText = ({ source, number }: Gtid): string => source + number;

/** @throws SyntaxError for what does not end in a number. */
export function parseGtid(text: string): Gtid {
  const digits = /\d*$/.exec(text)?.[0] ?? '';
  const number = Number(digits);
  if (digits === '') throw new SyntaxError(`no GTID: ${text}`);
  return {
    source: text.slice(0, -digits.length),
    number: Number.isSafeInteger(number) ? number : BigInt(digits),
  };
}

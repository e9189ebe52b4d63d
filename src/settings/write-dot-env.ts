import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from '../errors.ts';
import { parseDotEnv } from './dot-env.ts';
import { SETTINGS_TABLE } from './table.ts';

/** What stands there as it is: nothing in it means anything to a shell or to Docker either. */
const PLAIN = /^[\w.,:/@%+=-]*$/;
const OWNER_ONLY = 0o600;

/**
 * A value as it is written into a `.env` file, so that `parseDotEnv` reads exactly it; null where
 * no way of writing it does (all three kinds of quotes and a line break, say).
 */
export function dotEnvValue(value: string): string | null {
  const ways = [
    ...(PLAIN.test(value) ? [value] : []),
    ...["'", '"', '`'].map((quote) => `${quote}${value}${quote}`),
    // Quotes that begin a value may find their end in another line.
    ...(/^['"`]/.test(value) ? [] : [value]),
  ];
  return ways.find((way) => readsAs(way, value)) ?? null;
}

function readsAs(written: string, value: string): boolean {
  const read = parseDotEnv(`A=${written}\nB=1\n`);
  return (
    value.isWellFormed() && read.size === 2 && read.get('A') === value && read.get('B') === '1'
  );
}

/** A `.env` file of these settings, grouped as `.env.example`. @throws UsageError */
export function dotEnvText(values: ReadonlyMap<string, string>): string {
  const lines = ['# Written by iterable-sync init; iterable-sync --help lists all settings.'];
  let group = '';
  for (const row of SETTINGS_TABLE) {
    const value = values.get(row.name);
    if (value === undefined) continue;
    const written = dotEnvValue(value);
    if (written === null) {
      throw new UsageError(
        `the value of ${row.name} cannot be written into a .env file: it has a line break or every kind of quotes; set it in the environment`,
      );
    }
    if (row.group !== group) lines.push('', `# ${row.group}`);
    group = row.group;
    lines.push(`${row.name}=${written}`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Writes a file that only its owner can read, whole or not at all. One that is there stays unless
 * it is to be replaced. @throws UsageError
 */
export async function writePrivately(path: string, text: string, replace: boolean): Promise<void> {
  const draft = join(dirname(path), `${basename(path)}.${randomBytes(6).toString('hex')}.new`);
  try {
    await using file: FileHandle = await open(draft, 'wx', OWNER_ONLY);
    await file.writeFile(text);
    await file.sync();
    if (replace) await rename(draft, path);
    else await link(draft, path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw alreadyThere(path);
    throw new UsageError(`${path} cannot be written: ${message}`, { cause: error });
  } finally {
    await rm(draft, { force: true });
  }
}

export function alreadyThere(path: string): UsageError {
  return new UsageError(
    `${path} is there already, and was left as it is; init --force replaces it, all of it`,
  );
}

import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import { parseDotEnv } from './dot-env.ts';
import { nearest } from './nearest.ts';
import { SETTINGS_TABLE } from './table.ts';

const NAMES: readonly string[] = SETTINGS_TABLE.map((row) => row.name);

function readText(path: string): string | null {
  try {
    // Some editors begin a file with a byte-order mark.
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new UsageError(`${path} can not be read: ${(error as Error).message}`);
  }
}

function asText(value: unknown): string | null {
  if (Array.isArray(value)) return value.map(String).join(',');
  if (value === null || value === undefined) return null;
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

function fromJsonFile(path: string): Map<string, string> {
  const text = readText(path);
  if (text === null) throw new UsageError(`--config ${path}: there is no such file`);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new UsageError(`--config ${path}: this is not valid JSON`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(`--config ${path}: must hold a JSON object, {"DB_HOST": "…", …}`);
  }
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(content)) {
    if (!NAMES.includes(name)) {
      const guess = nearest(name, NAMES);
      throw new UsageError(
        `--config ${path}: there is no setting ${JSON.stringify(name)}` +
          (guess === null ? '' : `; did you mean ${guess}?`),
      );
    }
    const textValue = asText(value);
    if (textValue !== null) values.set(name, textValue);
  }
  return values;
}

/**
 * The raw value of every setting that is given: from the environment, else from `.env` in
 * `directory`, else from the JSON file. An empty value counts as not given, unless the setting
 * may be empty.
 */
export function readSources(
  env: Readonly<Record<string, string | undefined>>,
  directory: string | null,
  configFile: string | null,
): Map<string, string> {
  const dotEnv = parseDotEnv(directory === null ? '' : (readText(`${directory}/.env`) ?? ''));
  const json = configFile === null ? new Map<string, string>() : fromJsonFile(configFile);
  const values = new Map<string, string>();
  for (const row of SETTINGS_TABLE) {
    const mayBeEmpty = 'mayBeEmpty' in row;
    // The environment of a machine has the proxies under either name.
    const lower = row.name.endsWith('_PROXY') ? env[row.name.toLowerCase()] : undefined;
    const given = [env[row.name], lower, dotEnv.get(row.name), json.get(row.name)].find(
      (value) => value !== undefined && (mayBeEmpty || value.trim() !== ''),
    );
    // A password may end in a space; everything else that does was pasted so.
    const isPassword = row.name.endsWith('PASSWORD');
    if (given !== undefined) values.set(row.name, isPassword ? given : given.trim());
  }
  return values;
}

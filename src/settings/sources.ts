import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { parseDotEnv } from './dot-env.ts';
import { misspeltNames, nearMisses } from './misspelt.ts';
import { nearest } from './nearest.ts';
import { SETTINGS_TABLE, type SettingName, type SettingRow } from './table.ts';

/** One setting that has to be put right. */
export interface SettingProblem {
  name: SettingName;
  /** Without the name, and never with a secret: `is not set (…)`. */
  sentence: string;
}

/** What was given, as text. */
export interface Sources {
  values: Map<SettingName, string>;
  /** Of the files that hold a secret. Such a secret is not in `values`. */
  problems: SettingProblem[];
  /** Names that are nearly a setting's, a sentence each. */
  strangers: string[];
  hasDotEnv: boolean;
}

type Row = SettingRow & { name: SettingName };

const ROWS: readonly Row[] = SETTINGS_TABLE;
const NAMES: readonly string[] = ROWS.map((row) => row.name);

function readText(path: string): string | null {
  try {
    // Some editors begin a file with a byte-order mark.
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
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
    // What begins as a setting does is said, as it is of the environment; nothing else belongs here.
    if (!NAMES.includes(name) && misspeltNames([name], NAMES).length === 0) {
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

/** What a file of a secret holds, without one line break at its end; or why it is of no use. */
function readSecret(path: string, directory: string): { value: string } | { sentence: string } {
  try {
    const text = readFileSync(resolve(directory, path), 'utf8').replace(/^\uFEFF/, '');
    const value = text.replace(/\r?\n$/, '');
    return value.trim() === '' ? { sentence: `the file ${path} is empty` } : { value };
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    return {
      sentence: `the file ${path} cannot be read (${code}); check the path, and that this user may read it`,
    };
  }
}

/** Puts the content of the files of secrets in the place of what they stand for. */
function withSecrets(values: Map<SettingName, string>, directory: string): SettingProblem[] {
  const problems: SettingProblem[] = [];
  for (const { name, fileOf } of ROWS) {
    const row = ROWS.find((one) => one.name === fileOf);
    const path = values.get(name);
    if (row === undefined || path === undefined) continue;
    if ((values.get(row.name) ?? '') !== '') {
      problems.push({ name, sentence: `is set, and so is ${row.name}: leave one of them out` });
      continue;
    }
    values.delete(row.name);
    const secret = readSecret(path, directory);
    if ('value' in secret) values.set(row.name, asGiven(row.name, secret.value));
    else problems.push({ name, sentence: secret.sentence });
  }
  return problems;
}

/** A password may end in a space; everything else that does was pasted so. */
const asGiven = (name: string, text: string): string =>
  name.endsWith('PASSWORD') ? text : text.trim();

/**
 * The raw value of every setting that is given: from the environment, else from `.env` in
 * `directory` (null: none is read), else from the JSON file. An empty value counts as not given, unless the setting
 * may be empty and no file is named for it.
 */
export function readSources(
  env: Readonly<Record<string, string | undefined>>,
  directory: string | null,
  configFile: string | null,
): Sources {
  const text = directory === null ? null : readText(`${directory}/.env`);
  const dotEnv = parseDotEnv(text ?? '');
  const json = configFile === null ? new Map<string, string>() : fromJsonFile(configFile);
  const values = new Map<SettingName, string>();
  for (const { name, mayBeEmpty } of ROWS) {
    // The environment of a machine has the proxies under either name.
    const lower = name.endsWith('_PROXY') ? env[name.toLowerCase()] : undefined;
    const given = [env[name], lower, dotEnv.get(name), json.get(name)].find(
      (value) => value !== undefined && (mayBeEmpty === true || value.trim() !== ''),
    );
    if (given !== undefined) values.set(name, asGiven(name, given));
  }
  return {
    problems: withSecrets(values, directory ?? '.'),
    values,
    strangers: [
      ...misspeltNames([...Object.keys(env), ...dotEnv.keys(), ...json.keys()], NAMES),
      ...nearMisses(dotEnv.keys(), NAMES),
    ],
    hasDotEnv: text !== null,
  };
}

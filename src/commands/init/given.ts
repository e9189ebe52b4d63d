import { UsageError } from '../../errors.ts';
import { parseSetting } from '../../settings/formats.ts';
import { type LoadedSettings, readSettings } from '../../settings/load.ts';
import { nearest } from '../../settings/nearest.ts';
import { SETTINGS_TABLE, type SettingName, type SettingRow } from '../../settings/table.ts';

/** Settings as text, as they are going to be written. */
export type Given = Map<SettingName, string>;

const ROWS: readonly SettingRow[] = SETTINGS_TABLE;
const NAMED: readonly (SettingRow & { name: SettingName })[] = SETTINGS_TABLE;
const NAMES = SETTINGS_TABLE.map(({ name }) => name);

/**
 * The settings of `--set NAME=VALUE` (the last one of a name counts), and what is required and not
 * among them from the environment. No message repeats a value. @throws UsageError
 */
export function readGiven(
  sets: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Given {
  const given: Given = new Map();
  const problems: string[] = [];
  for (const set of sets) {
    const [, name, value] = /^(\w+)=([^]*)$/.exec(set) ?? [];
    const known = NAMES.find((other) => other === name);
    if (name === undefined || value === undefined) problems.push('--set takes NAME=VALUE');
    else if (known === undefined) problems.push(unknownName(name));
    else if (isGiven(known, value)) given.set(known, value);
    else given.delete(known);
  }
  takeRequired(given, env);
  if (problems.length > 0) throw new UsageError(`init: ${[...new Set(problems)].join('; ')}`);
  return given;
}

const fileFor = (name: SettingName): SettingName | undefined =>
  NAMED.find(({ fileOf }) => fileOf === name)?.name;

/** Also by the file that holds it. */
export function isAnswered(name: SettingName, given: Given): boolean {
  const file = fileFor(name);
  return given.has(name) || (file !== undefined && given.has(file));
}

function takeRequired(given: Given, env: Readonly<Record<string, string | undefined>>): void {
  for (const { name, required } of NAMED) {
    if (required !== true) continue;
    for (const way of [name, fileFor(name)]) {
      const value = way === undefined ? undefined : env[way];
      if (way === undefined || !isGiven(way, value) || isAnswered(name, given)) continue;
      given.set(way, value);
    }
  }
}

function unknownName(name: string): string {
  const guess = nearest(name, NAMES);
  return `there is no setting ${name}${guess === null ? '' : `; did you mean ${guess}?`}`;
}

/** As readSources sees it: an empty value is none, unless the setting may be empty. */
function isGiven(name: SettingName, value: string | undefined): value is string {
  if (value === undefined) return false;
  const row = ROWS.find((other) => other.name === name);
  return row?.mayBeEmpty === true || value.trim() !== '';
}

/** Why this value cannot be, in a sentence; null: it can. */
export function problemOf(name: SettingName, value: string): string | null {
  const row = ROWS.find((other) => other.name === name);
  if (row === undefined) return null;
  if (!isGiven(name, value)) return row.required === true ? 'must be given' : null;
  const parsed = parseSetting(row.kind, value.trim());
  return 'problem' in parsed ? parsed.problem : null;
}

/** The settings that a `.env` file of these would make, and what is missing or wrong. */
export function settingsOf(given: Given): Pick<LoadedSettings, 'settings' | 'problems'> {
  return readSettings({
    env: Object.fromEntries(given),
    directory: null,
    configFile: null,
    need: 'all',
  });
}

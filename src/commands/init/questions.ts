import { isCancel, log, password, select, spinner, text } from '@clack/prompts';
import { SETTINGS_TABLE, type SettingName, type SettingRow } from '../../settings/table.ts';
import { oneLine } from '../../plain-text.ts';
import { programName } from '../program-name.ts';
import { type Given, problemOf } from './given.ts';
import type { Tried } from './tries.ts';

/** What a question shows beside the setting's name. */
const HINTS: Partial<Record<SettingName, string>> = {
  DB_HOST: 'host of MySQL or MariaDB',
  DB_PORT: 'its port',
  DB_USER: 'user of iterable-sync there',
  DB_PASSWORD: 'password of that user; may be empty',
  DB_NAME: 'database with the customers and the page views',
  KAFKA_BROKERS: 'host:port, …; nothing: one machine, without Kafka',
  ITERABLE_API_KEY: 'a server-side key of the project',
};
const SIMULATOR = 'http://127.0.0.1:8080';
const DATA_CENTERS = [
  { value: 'https://api.iterable.com', label: 'Iterable, data center US' },
  { value: 'https://api.eu.iterable.com', label: 'Iterable, data center EU' },
  {
    value: SIMULATOR,
    label: 'the simulator on this machine',
    hint: 'iterable-sync simulator, in another terminal',
  },
  { value: '', label: 'another address' },
];
const ROWS: readonly SettingRow[] = SETTINGS_TABLE;

/** The answer; null: the user wants to stop. A secret is not shown. */
async function ask(name: SettingName, before: string | undefined): Promise<string | null> {
  const row = ROWS.find((other) => other.name === name);
  const message = `${name}  ${HINTS[name] ?? row?.meaning ?? ''}`;
  const usual = row?.secret === true ? '' : (row?.default ?? '');
  const validate = (value: string | undefined): string | undefined =>
    problemOf(name, value === undefined || value === '' ? usual : value) ?? undefined;
  if (name === 'ITERABLE_API_BASE_URL') {
    const url = await select({ message: `${name}  where it sends to`, options: DATA_CENTERS });
    if (isCancel(url)) return null;
    if (url !== '') return url;
  }
  const answer =
    row?.secret === true
      ? await password({ message, validate })
      : await text({
          message,
          validate,
          initialValue: before ?? '',
          placeholder: usual,
          defaultValue: usual,
        });
  return isCancel(answer) ? null : answer;
}

/** Asks for these settings, each until it can be one; false: the user wants to stop. */
export async function askFor(names: readonly SettingName[], given: Given): Promise<boolean> {
  for (const name of names) {
    if (name === 'ITERABLE_API_KEY' && given.get('ITERABLE_API_BASE_URL') === SIMULATOR) {
      say(
        `start it in another terminal: ${programName()} simulator; it takes any ITERABLE_API_KEY`,
      );
      given.set(name, 'any');
      continue;
    }
    const answer = await ask(name, given.get(name));
    if (answer === null) return false;
    const isDefault = answer.trim() === '' && name !== 'DB_PASSWORD';
    if (isDefault) given.delete(name);
    else given.set(name, answer);
  }
  return true;
}

/** Runs a try with something to look at, and says how it went. */
export async function shown(what: string, running: Promise<Tried>): Promise<Tried> {
  const turning = spinner();
  turning.start(what);
  try {
    const tried = await running;
    if (tried.ok) turning.stop(`${what}: yes`);
    else {
      turning.stop(`${what}: no`);
      log.warn(wrapped(oneLine(tried.because)));
    }
    return tried;
  } catch (error) {
    turning.error(`${what}: no`);
    throw error;
  }
}

/** Lines of at most 76 columns, broken between words: beside the guide, they fit into 80. */
function wrapped(sentence: string): string {
  return sentence.replace(/(.{1,76})(?:\s+|$)/g, '$1\n').trimEnd();
}

export const say = (line: string): void => log.info(line);

/** What to do about something that does not work; null: the user wants to stop. */
export async function choose<T extends string>(
  message: string,
  options: Readonly<Record<T, string>>,
): Promise<T | null> {
  const keys = Object.keys(options) as T[];
  const chosen = await select<string>({
    message,
    options: keys.map((value) => ({ value, label: options[value] })),
  });
  return isCancel(chosen) ? null : (keys.find((key) => key === chosen) ?? null);
}

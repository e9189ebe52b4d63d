import { plainJson } from '../plain-text.ts';
import { type LoadedSettings, readSettings } from '../settings/load.ts';
import type { SettingProblem } from '../settings/sources.ts';
import { SETTINGS_TABLE, type SettingName } from '../settings/table.ts';
import { databaseChecks, iterableChecks, topicsChecks } from './doctor-checks.ts';
import {
  type ReportLine,
  advises,
  fails,
  holds,
  isWell,
  notChecked,
  summaryOf,
  textOf,
} from './doctor-report.ts';

export interface DoctorFlags {
  json: boolean;
  config: string | null;
}

const SET_IT = 'put it right in the environment, in .env or in the file given with --config';
const DATABASE = SETTINGS_TABLE.flatMap(({ group, name }) =>
  group === 'Database' || group === 'Names and fields' ? [name] : [],
);
const KAFKA: readonly SettingName[] = [
  'KAFKA_BROKERS',
  'KAFKA_SSL',
  'KAFKA_SASL_MECHANISM',
  'KAFKA_SASL_USERNAME',
  'KAFKA_SASL_PASSWORD',
  'KAFKA_SASL_PASSWORD_FILE',
];
const ITERABLE: readonly SettingName[] = [
  'ITERABLE_API_BASE_URL',
  'ITERABLE_TIMEOUT_MS',
  'HTTPS_PROXY',
  'HTTP_PROXY',
];
const KEY: readonly SettingName[] = ['ITERABLE_API_KEY', 'ITERABLE_API_KEY_FILE'];

/** Which of these settings are wrong or missing, in words; null: none. A default never stands in. */
function troubleOf(
  problems: readonly SettingProblem[],
  names: readonly SettingName[],
): string | null {
  const bad = problems.filter(({ name }) => names.includes(name));
  if (bad.length === 0) return null;
  return bad
    .map(
      ({ name, sentence }) =>
        `${name} is ${sentence.startsWith('is not set') ? 'not set' : 'wrong'}`,
    )
    .join(', ');
}

function settingsChecks({ problems, strangers, advice }: LoadedSettings): ReportLine[] {
  return [
    ...(problems.length === 0 ? [holds('settings', 'complete')] : []),
    ...problems.map(({ name, sentence }) => fails('settings', `${name}: ${sentence}`, SET_IT)),
    ...(advice === null ? [] : [advises('settings', advice.what, advice.todo)]),
    ...strangers.map((sentence) => advises('settings', sentence, 'correct the name, or leave it')),
  ];
}

/**
 * Runs every check, also when another fails, and changes nothing anywhere. Exit code 0 when all
 * that is required holds, 2 when a setting is wrong, else 3.
 */
export async function doctor(flags: DoctorFlags): Promise<number> {
  const loaded = readSettings({
    env: process.env,
    directory: process.cwd(),
    configFile: flags.config,
    need: 'all',
  });
  const { settings, problems } = loaded;
  const unless = async (
    name: string,
    needs: readonly SettingName[],
    checks: () => Promise<ReportLine[]>,
  ): Promise<ReportLine[]> => {
    const trouble = troubleOf(problems, needs);
    return trouble === null ? await checks() : [notChecked(name, trouble)];
  };
  const found = await Promise.all([
    unless('database', DATABASE, () => databaseChecks(settings)),
    unless('topics', KAFKA, () => topicsChecks(settings, troubleOf(problems, ['KAFKA_TOPIC']))),
    unless('Iterable', ITERABLE, () => iterableChecks(settings.iterable, troubleOf(problems, KEY))),
  ]);
  const checks = [...settingsChecks(loaded), ...found.flat()];
  if (flags.json) process.stdout.write(`${plainJson({ ok: isWell(checks), checks }, 2)}\n`);
  else {
    for (const line of [...checks.map(textOf), summaryOf(checks)])
      process.stdout.write(`${line}\n`);
  }
  if (problems.length > 0) return 2;
  return isWell(checks) ? 0 : 3;
}

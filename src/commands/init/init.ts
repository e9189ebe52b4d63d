import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { intro } from '@clack/prompts';
import { UnavailableError, UsageError } from '../../errors.ts';
import { plainLines, secretRemover } from '../../plain-text.ts';
import type { SettingProblem } from '../../settings/sources.ts';
import { secretsOf } from '../../settings/secrets.ts';
import { alreadyThere, dotEnvText, writePrivately } from '../../settings/write-dot-env.ts';
import { lineFrom, textOf } from '../doctor-report.ts';
import { programName } from '../program-name.ts';
import { STOPPED_EXIT_CODE } from '../shutdown.ts';
import { type Given, readGiven, settingsOf } from './given.ts';
import { firstRefusal, interview, untilComplete } from './interview.ts';
import { type Inspected, inspectDatabase } from './tries.ts';

export interface InitFlags {
  /** NAME=VALUE each. */
  sets: readonly string[];
  /** Replace a `.env` that is there. */
  force: boolean;
}

const print = (text: string): void => void process.stdout.write(`${plainLines(text)}\n`);

/**
 * Asks for the settings, tries each as it is given, writes `.env` and prints what the server still
 * needs. Where no terminal is there to ask, or all that is required was given, it asks nothing and
 * writes nothing that was refused. Exit code 0: written; 130: stopped before.
 */
export async function init(flags: InitFlags): Promise<number> {
  const path = join(process.cwd(), '.env');
  if (existsSync(path) && !flags.force) throw alreadyThere('.env');
  const given = readGiven(flags.sets, process.env);
  const { problems } = settingsOf(given);
  const wrong = problems.filter(({ sentence }) => !sentence.startsWith('is not set'));
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  const asks = isTerminal && wrong.length === 0 && problems.length > 0;
  if (problems.length > 0 && !asks) throw incomplete(problems);
  try {
    if (!(asks ? await askForAll(given) : await takeAll(given))) {
      print('Nothing was written.');
      return STOPPED_EXIT_CODE;
    }
    await writePrivately(path, dotEnvText(given), flags.force);
  } catch (error) {
    const withoutSecrets = secretRemover(secretsOf(settingsOf(given).settings));
    if (error instanceof Error) error.message = withoutSecrets(error.message);
    throw error;
  }
  sayWritten(given);
  return 0;
}

function incomplete(problems: readonly SettingProblem[]): UsageError {
  const lines = problems.map(({ name, sentence }) => `  ${name}: ${sentence}`).join('\n');
  return new UsageError(
    `init asks on a terminal; here, these have to be given with --set NAME=VALUE (or in the environment):\n${lines}`,
  );
}

/** While a try is shown, @clack/core ends the process itself on Ctrl-C, with 0 as if all were done. */
function stoppedOnExit(): Disposable {
  const onExit = (): void => {
    print('Nothing was written.');
    process.exitCode = STOPPED_EXIT_CODE;
  };
  process.on('exit', onExit);
  return { [Symbol.dispose]: () => process.off('exit', onExit) };
}

async function askForAll(given: Given): Promise<boolean> {
  using _stopped = stoppedOnExit();
  intro('iterable-sync: settings for .env (Ctrl-C stops, and writes nothing)');
  if (!(await interview(given))) return false;
  return (await untilComplete(given, showNeeds)) !== 'stop';
}

async function takeAll(given: Given): Promise<boolean> {
  const refusal = await firstRefusal(given);
  if (refusal !== null) throw new UnavailableError(`${refusal} (.env was not written)`);
  showNeeds(await inspectDatabase(settingsOf(given).settings.db));
  return true;
}

/** Nothing of a database that is not there can be said. */
const OF_TABLES = new Set(['tables', 'columns', 'index', 'table kinds', 'foreign keys']);

/** What does not hold, a line each, and the statements that mend it. */
function showNeeds({ missing, checks, sql, covered }: Inspected): void {
  if (missing !== null) print(`FAIL  ${missing}`);
  for (const check of checks) {
    if (check.ok || (missing !== null && OF_TABLES.has(check.name))) continue;
    const fix = covered.has(check.name) ? null : check.fix;
    print(textOf({ ...lineFrom(check, `database: ${check.name}`), fix }));
  }
  if (sql.length === 0) return;
  print(['', 'The server still needs this, from a user who may do it:', '', ...sql, ''].join('\n'));
}

function sayWritten(given: Given): void {
  print('Wrote .env, for its owner alone.');
  const other = [...given].filter(([name, value]) => (process.env[name] ?? value) !== value);
  if (other.length > 0) {
    const names = other.map(([name]) => name).join(', ');
    print(`Note: ${names} in the environment differ, and come first.`);
  }
  const program = programName();
  print(`Next:  ${program} doctor              says whether all is in place`);
  print(`       ${program} backfill --dry-run  shows what would be sent`);
  print(`       ${program} run                 sends, and follows the tables`);
}

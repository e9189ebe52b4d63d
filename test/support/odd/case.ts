import type { Connection } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Simulator, startSimulator } from '../../../src/simulator/simulator.ts';
import type { DatabaseServer } from '../../../tools/services/services.ts';
import { differences } from '../expected.ts';
import { History } from '../history.ts';
import { isCaughtUp } from '../pipeline.ts';
import { Program, environment, runToEnd, until } from '../program.ts';
import { type FreshDatabase, connectTo, freshDatabase } from '../services.ts';
import { drawCharset } from './columns.ts';
import { Dice } from './dice.ts';
import { WRITER, makeJudge, note, tryQuietly } from './judge.ts';
import { drawGlobals, holdNextCommit, setGlobals } from './server.ts';
import { type OddTables, drawTables } from './tables.ts';
import { drawSession } from './session.ts';
import { OddWriter } from './writer.ts';
import type { DatabaseKind } from '../../../tools/services/services.ts';

/** `refused`: by doctor and by run, in words. `stopped`: mid-stream, in words, where the log lacks rows. */
export type Outcome = 'converged' | 'refused' | 'stopped' | 'WRONG';

export interface CaseReport {
  seed: number;
  words: string[];
  outcome: Outcome;
  /** The sentence of a refusal, or what is wrong. */
  detail: string;
}

const STEPS = 40;
const END_MS_MAX = 60_000;
const CONVERGE_MS_MAX = 40_000;
const KEY = 'test-key';
const USER = 'odd_sync';
const PASSWORD = 'odd-secret';
const ZONES = ['Europe/Berlin', 'America/Chicago', '+05:30'];

/** A user with what the README grants, for all databases of a server. */
export async function createUser(connection: Connection, kind: DatabaseKind): Promise<void> {
  const monitor = kind === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR';
  await connection.query(`CREATE USER '${USER}'@'%' IDENTIFIED BY '${PASSWORD}'`);
  await connection.query(`GRANT SELECT, REPLICATION SLAVE, ${monitor} ON *.* TO '${USER}'@'%'`);
}

/** One drawn server, session and set of tables, with the program on it under a short workload. */
export async function tryCase(
  server: DatabaseServer,
  kind: DatabaseKind,
  seed: number,
): Promise<CaseReport> {
  const dice = new Dice(seed);
  const charset = drawCharset(dice, kind);
  dice.note(`database ${charset.clause}`);
  const tables = drawTables(dice, kind, charset);
  const globals = drawGlobals(dice, kind);
  const session = drawSession(dice);
  const hold = dice.chance(0.15) ? () => holdNextCommit(judge, kind) : null;
  if (hold !== null) dice.note('semi-sync');
  const zone = dice.oddly(0.3, 'DB_TIME_ZONE', '+00:00', ZONES);
  const report = (outcome: Outcome, detail: string): CaseReport => {
    const words = [...globals.map((pair) => pair.join('=')), ...dice.words];
    return { seed, words, outcome, detail };
  };
  await using database = await freshDatabase(server);
  const { connection: judge, settings } = database;
  await makeJudge(judge, settings.name, charset.clause, zone);
  const { unknown, restore } = await setGlobals(judge, globals);
  for (const name of unknown)
    globals.splice(
      globals.findIndex(([known]) => known === name),
      1,
    );
  try {
    const connection = await connectTo(settings, settings.name);
    try {
      await tryQuietly(connection, WRITER);
      const writer = new OddWriter(connection, dice, kind, tables, hold);
      await writer.setUp();
      await tryQuietly(connection, session.statements);
      const stage = { database, judge, writer, tables, zone, mayStop: session.isLossy };
      const { outcome, detail } = await runOn(stage);
      return report(outcome, detail);
    } finally {
      connection.destroy();
    }
  } catch (error) {
    return report('WRONG', String(error));
  } finally {
    await restore();
  }
}

interface Stage {
  database: FreshDatabase;
  judge: Connection;
  writer: OddWriter;
  tables: OddTables;
  zone: string;
  mayStop: boolean;
}

type Verdict = Pick<CaseReport, 'outcome' | 'detail'>;

async function runOn(stage: Stage): Promise<Verdict> {
  const { database, judge, zone } = stage;
  const history = new History();
  await using simulator = await startSimulator({
    port: 0,
    apiKeys: [KEY],
    onAccepted: (endpoint, _at, accepted) => {
      if (endpoint !== 'users/update' && endpoint !== 'events/track') return;
      for (const { email, id, createdAt, dataFields } of accepted) {
        const held = { eventId: id, createdAt, dataFields: structuredClone(dataFields) };
        history.accepted({ endpoint, email: email ?? '', ...held });
      }
    },
  });
  const settings = { ...database.settings, user: USER, password: PASSWORD };
  const env = environment(settings, simulator.url, { ITERABLE_API_KEY: KEY, DB_TIME_ZONE: zone });
  await note(judge, history);
  const doctor = await bounded('doctor', runToEnd(['doctor'], env));
  await using program = new Program(['run'], env);
  if (doctor.code !== 0) return await refusal(doctor.stdout, program);
  return await streaming(stage, program, simulator, history);
}

/** What doctor refuses, run refuses too, with the same words. */
async function refusal(said: string, program: Program): Promise<Verdict> {
  const failed = said.split('\n').filter((line) => line.startsWith('FAIL'));
  const detail = failed.join(' | ');
  const ended = await bounded('run, which doctor warned of', program.ended).catch(() => null);
  if (ended === null)
    return { outcome: 'WRONG', detail: `run goes on, where doctor has: ${detail}` };
  const { code, stderr } = ended;
  if (code === 3 && failed.length > 0 && !/\n {4}at /.test(stderr))
    return { outcome: 'refused', detail };
  return {
    outcome: 'WRONG',
    detail: `run ends with ${code}: ${stderr.slice(-600)}; doctor: ${said}`,
  };
}

async function streaming(
  { judge, writer, tables, mayStop }: Stage,
  program: Program,
  simulator: Simulator,
  history: History,
): Promise<Verdict> {
  try {
    const url = await program.ready();
    for (let i = 0; i < STEPS; i++) {
      await writer.step();
      await note(judge, history);
      await sleep(i % 8 === 0 ? 60 : 3);
    }
    let wrong: string[] = ['not caught up'];
    await until(
      'Iterable holds what the rule says',
      async () => {
        if (program.hasEnded) return true;
        if (!(await isCaughtUp(url))) return false;
        wrong = await differences(judge, simulator);
        return wrong.length === 0;
      },
      CONVERGE_MS_MAX,
    ).catch(() => undefined);
    if (program.hasEnded) throw new Error('the program ended');
    // In a table without transactions, rows are seen one by one.
    if (tables.isTransactional) wrong.push(...history.check().map(({ sentence }) => sentence));
    if (wrong.length > 0)
      return { outcome: 'WRONG', detail: `${wrong.slice(0, 4).join(' | ')} ${warnings(program)}` };
    program.kill('SIGTERM');
    const { code } = await bounded('a clean end', program.ended);
    return code === 0
      ? { outcome: 'converged', detail: '' }
      : { outcome: 'WRONG', detail: `ends with ${code}` };
  } catch (error) {
    const { hasEnded, stderr } = program;
    const inWords = hasEnded && (await program.ended).code === 3 && !/\n {4}at /.test(stderr);
    if (mayStop && inWords)
      return { outcome: 'stopped', detail: stderr.trim().split('\n').at(-1) ?? '' };
    return { outcome: 'WRONG', detail: `${String(error).slice(0, 300)} ${warnings(program)}` };
  }
}

/** The last lines of the log that are no mere information. */
const warnings = ({ stderr }: Program): string =>
  stderr
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"level":"info"'))
    .slice(-5)
    .join(' / ')
    .slice(0, 900);

async function bounded<T>(what: string, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timeout = sleep(END_MS_MAX, undefined, { signal: late.signal }).then(() => {
    throw new Error(`waited ${END_MS_MAX} ms in vain for ${what}`);
  });
  timeout.catch(() => undefined);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    late.abort();
  }
}

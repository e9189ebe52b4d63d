import { pino } from 'pino';
import { openTopics } from '../src/topics/open.ts';
import type { Topics } from '../src/topics/port.ts';
import { type Kind, type Measure, line, whole } from './measures.ts';
import {
  type Scene,
  type Stage,
  Process,
  addCustomers,
  openScene,
  startReady,
  until,
} from './stage.ts';

/** The scene's topics, as another process sees them. */
function topicsOf(scene: Scene, kind: Kind): Promise<Topics> {
  const brokers = (scene.env['KAFKA_BROKERS'] ?? '').split(',');
  const kafka = kind === 'Kafka' ? { brokers, clientId: 'bench', ssl: false, sasl: null } : null;
  const stateDir = scene.env['STATE_DIR'] ?? '';
  const topic = scene.env['KAFKA_TOPIC'] ?? 'page_views';
  return openTopics({ kafka, topic, partitions: 6, stateDir }, pino({ level: 'silent' }));
}

async function viewsIn(topics: Topics): Promise<number> {
  const bounds = await topics.bounds([topics.names.pageViews]);
  return bounds.reduce((sum, { end }) => sum + end, 0);
}

const FILLING = `
  CREATE PROCEDURE fill(total INT, size INT) BEGIN
    DECLARE i INT DEFAULT 0;
    WHILE i < total DO
      INSERT INTO page_views (user_id, page, device, location)
        SELECT id, 'home', 'mobile', 'Austin, TX' FROM customers WHERE id > i MOD 1000 LIMIT size;
      SET i = i + size;
    END WHILE;
  END`;

/** Transactions of so many views, of a thousand users in turn; commits wait for no disk meanwhile. */
async function fillLog(scene: Scene, rows: number, perTransaction: number): Promise<void> {
  const { connection } = scene;
  await addCustomers(scene, 2_000, 'free');
  await connection.query(FILLING);
  // A server of somebody else's may not allow it: then it takes longer.
  const settings = ['sync_binlog', 'innodb_flush_log_at_trx_commit'];
  const [found] = await connection.query(`SELECT ${settings.map((name) => `@@${name}`).join()}`);
  const before = Object.values((found as Record<string, number>[])[0] ?? {});
  const set = (values: number[]): Promise<unknown> =>
    connection
      .query(settings.map((name, i) => `SET GLOBAL ${name} = ${values[i]}`).join('; '))
      .catch(() => undefined);
  await set([0, 0]);
  await connection.query('CALL fill(?, ?)', [rows, perTransaction]);
  await set(before);
}

/**
 * Rows in the log first, then capture alone (`run` with nothing to send, where embedded): rows a
 * second from the last look at the topic's ends that saw none to the last row: the program
 * is asked for nothing; its processor time for them, its memory at most, and when the first row
 * was there after the start.
 */
export async function captureRate(
  stage: Stage,
  kind: Kind,
  rows: number,
  perTransaction: number,
): Promise<Measure> {
  await using scene = await openScene(stage, kind);
  const args = [kind === 'Kafka' ? 'capture' : 'run'];
  const { program: bookmark } = await startReady(args, { ...scene.env, START_FROM: 'now' });
  await bookmark.stop();
  await fillLog(scene, rows, perTransaction);
  await using topics = await topicsOf(scene, kind);
  const startMs = performance.now();
  await using program = new Process(args, scene.env);
  const look = async () => {
    const count = await viewsIn(topics);
    return { count, atMs: performance.now(), cpuSeconds: program.cpuSeconds() };
  };
  let none = await look();
  let now = none;
  await until('a first row', 5, async () => {
    if (now.count === 0) none = now;
    now = await look();
    return now.count > 0;
  });
  const firstMs = now.atMs - startMs;
  await until(`captured: ${rows}`, 50, async () => {
    now = await look();
    return now.count >= rows;
  });
  const rate = rows / ((now.atMs - none.atMs) / 1000);
  const cpu = ((now.cpuSeconds - none.cpuSeconds) / rows) * 1_000_000;
  const bar = kind === 'Kafka' && perTransaction >= 1000 ? 40_000 : null;
  return line(
    `capture into ${kind}, ${perTransaction} row(s) a transaction`,
    `${whole(rate)} rows/s, ${cpu.toFixed(1)} s of CPU a million rows, ` +
      `${whole(program.peakMegabytes())} MB, first row after ${whole(firstMs)} ms`,
    bar === null ? '' : `≥ ${whole(bar)} rows/s`,
    bar === null ? null : rate >= bar,
    [{ id: `capture.${kind}-${perTransaction}`, unit: 'rows/s', values: [rate] }],
  );
}

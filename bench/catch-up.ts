import { type Kind, type Measure, line, metric, rateUpTo, whole } from './measures.ts';
import {
  type Scene,
  type Stage,
  Process,
  addCustomers,
  openScene,
  startReady,
  until,
} from './stage.ts';

/** Customers who write the views of a catch-up, and how many each writes in one statement at most. */
const READERS = 5_000;
const EACH_MAX = 50;
/** A look at the metrics takes some milliseconds of whoever is measured. */
const LOOK_EVERY_MS = 200;

/** Views of the page, by users who are not pro, into the topic. */
async function fill(scene: Scene, kind: Kind, messages: number, page: string): Promise<void> {
  await addCustomers(scene, READERS, 'free');
  const args = [kind === 'Kafka' ? 'capture' : 'run'];
  const env = { ...scene.env, START_FROM: 'now', KAFKA_GROUP_ID: 'other' };
  const { program, url } = await startReady(args, env);
  await using filling = program;
  for (let left = messages / READERS; left > 0; left -= EACH_MAX) {
    await scene.connection.query(
      `INSERT INTO page_views (user_id, page, device, browser, location)
       WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       SELECT id, ?, 'mobile', 'Chrome', 'Austin, TX'
       FROM n STRAIGHT_JOIN customers WHERE email LIKE 'many%'`,
      [Math.min(left, EACH_MAX), page],
    );
  }
  await until('all views are captured', LOOK_EVERY_MS, async () => {
    return (await metric(url, /captured_rows_total\{kind="page_views.insert"\} (\d+)/)) >= messages;
  });
  await filling.stop();
}

/** The end of its last line is that of the program: what a stop takes counts. */
async function replayRate(scene: Scene, messages: number): Promise<number> {
  await using program = new Process(['replay', '--from', '2020-01-01T00:00:00Z'], scene.env);
  await program.says(/(replaying from)/);
  const startMs = performance.now();
  if ((await program.ended) !== 0) throw new Error(`the replay failed:\n${program.output}`);
  return messages / ((performance.now() - startMs) / 1000);
}

/**
 * A topic full of views that nobody is reached for, of the page, by users who are not pro: by the
 * stream, and once more by a replay. `perSecond` is the bar, where there is one.
 */
export async function catchUp(
  stage: Stage,
  kind: Kind,
  messages: number,
  page: 'pricing' | 'home',
  perSecond: number | null,
): Promise<Measure[]> {
  await using scene = await openScene(stage, kind);
  await fill(scene, kind, messages, page);
  const judged = (name: 'catch-up' | 'replay', rate: number): Measure =>
    line(
      `${name} of ${whole(messages)} ineligible messages, ${page}, ${kind}`,
      `${whole(rate)} messages/s`,
      perSecond === null ? '' : `≥ ${whole(perSecond)}`,
      perSecond === null ? null : rate >= perSecond,
      [{ id: `${name}.${kind}-${page}`, unit: 'messages/s', values: [rate] }],
    );
  const env = { ...scene.env, KAFKA_GROUP_ID: `${scene.name}-again` };
  await using program = new Process(['deliver'], env);
  const url = await program.says(/status at (http:\/\/[^"\s]+)/);
  const rate = await rateUpTo(messages, 'read', LOOK_EVERY_MS, async () =>
    metric(url, /deliveries_total\{outcome="ineligible"\} (\d+)/),
  );
  await program.stop();
  return [judged('catch-up', rate), judged('replay', await replayRate(scene, messages))];
}

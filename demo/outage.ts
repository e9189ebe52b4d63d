import type { RowDataPacket } from 'mysql2/promise';
import { type Printer, count, duration } from './print.ts';
import type { Held } from './simulator-view.ts';
import type { Stage } from './stage.ts';
import {
  ARRIVAL_MS_MAX,
  JOHN,
  KATE,
  SEEDED,
  arrivalOf,
  eventId,
  expect,
  insertView,
  nowMs,
} from './views.ts';

const OUTAGE_MS = 4_000;
/** Iterable is tried again every 10 s at least, and then everything has to arrive. */
const RECOVERY_MS_MAX = 20_000;

export interface Outage {
  /** When it began, on the database's clock, which the messages' times come from; ISO. */
  from: string;
  viewIds: number[];
}

/** Step 5. */
export async function iterableDown(stage: Stage, printer: Printer): Promise<Outage> {
  const { program, simulator, sql, until } = stage;
  printer.step('Iterable is down for some seconds');
  const nothingWaits = async (): Promise<boolean> =>
    (await program.metric('topic_lag_messages')) === 0;
  await until('no message is waiting', ARRIVAL_MS_MAX, nothingWaits);
  const [times] = await sql.query<RowDataPacket[]>('SELECT UNIX_TIMESTAMP() AS seconds');
  const from = new Date(Number(times[0]?.['seconds']) * 1000).toISOString();
  const since = await simulator.lastSeq();
  const failedBefore = await simulator.answers(503);
  await simulator.setFaults({ outage: 'unavailable' });
  const downSinceMs = nowMs();
  printer.say('The simulator answers 503 to everything from now on.');
  const viewIds: number[] = [];
  for (const { id } of [...SEEDED, KATE, JOHN]) viewIds.push((await insertView(stage, id)).viewId);
  printer.say(`${count(viewIds.length, 'pro customer')} look at the pricing page meanwhile.`);
  const reason = await until('GET /readyz is 503', ARRIVAL_MS_MAX, async () => {
    const readiness = await program.readiness();
    return readiness.status === 503 && readiness.reason;
  });
  printer.seen(`GET /readyz is 503, ${reason}`);
  await stage.pause(Math.max(0, OUTAGE_MS - (nowMs() - downSinceMs)));
  const lag = await program.metric('topic_lag_messages');
  expect((await simulator.lastSeq()) === since, 'Iterable accepts nothing while it is down');
  expect(lag === viewIds.length, `${viewIds.length} messages wait in the topic (there are ${lag})`);
  const failed = (await simulator.answers(503)) - failedBefore;
  const down = duration(nowMs() - downSinceMs);
  printer.seen(`after ${down}: ${count(lag, 'message')} waiting, ${count(failed, 'call')} tried`);
  await simulator.setFaults({});
  const backMs = nowMs();
  printer.say('The simulator answers again.');
  let lastMs = backMs;
  for (const viewId of viewIds) {
    lastMs = Math.max(lastMs, (await arrivalOf(stage, viewId, since, RECOVERY_MS_MAX)).at);
  }
  printer.seen(
    `all ${viewIds.length} events arrived, the last one ${duration(lastMs - backMs)} later`,
  );
  await until('GET /readyz is 200 and no message is waiting', ARRIVAL_MS_MAX, async () => {
    return (await program.readiness()).status === 200 && (await nothingWaits());
  });
  printer.seen('GET /readyz is 200, 0 messages waiting');
  return { from, viewIds };
}

/** Step 6. */
export async function replayed(stage: Stage, printer: Printer, outage: Outage): Promise<void> {
  printer.step('A replay sends again what came since then');
  const { simulator } = stage;
  const since = await simulator.lastSeq();
  const before = await simulator.held();
  printer.command(`iterable-sync replay --from ${outage.from}`);
  const { code, printed, log } = await stage.command(['replay', '--from', outage.from]);
  expect(code === 0, `replay ends with 0 (it was ${code}):\n${log}`);
  printer.block(printed.replace(/^Results: .*$/m, ''), 'dim');
  const again = new Set((await simulator.arrivals(since)).map(({ id }) => id));
  for (const id of outage.viewIds.map(eventId)) expect(again.has(id), `${id} was sent again`);
  const after = await simulator.held();
  const repeats = after.counts.repeatedEvents - before.counts.repeatedEvents;
  expect(eventsOf(before) === eventsOf(after), 'the events are the same as before the replay');
  printer.seen(`${count(repeats, 'event')} arrived again, with the same ids`);
  printer.seen(
    `the events are unchanged: ${before.counts.events} before, ${after.counts.events} after`,
  );
}

/** Every event of every user, comparable; without the simulator's own count of repeats. */
function eventsOf({ users }: Held): string {
  const skipRepeats = (key: string, value: unknown): unknown =>
    key === 'repeats' ? undefined : value;
  return JSON.stringify(
    users.map(({ email, events }) => ({ email, events })),
    skipRepeats,
  );
}

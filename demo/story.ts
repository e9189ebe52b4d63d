/** The seven steps. Each is seen at the simulator or at the program, or it throws NotSeenError. */
import { iterableDown, replayed } from './outage.ts';
import { type Printer, duration } from './print.ts';
import type { Stage } from './stage.ts';
import { summary } from './summary.ts';
import {
  ARRIVAL_MS_MAX,
  JOHN,
  KATE,
  SEEDED,
  arrivalOf,
  eventId,
  expect,
  insertSql,
  insertView,
  nowMs,
} from './views.ts';

const BACKFILL_MS_MAX = 30_000;
const MEASURED_VIEWS = 20;

export async function tellStory(stage: Stage, printer: Printer): Promise<void> {
  await firstStart(stage, printer);
  await newView(stage, printer);
  const freeView = await viewOfFreeUser(stage, printer);
  await turnsPro(stage, printer, freeView);
  const outage = await iterableDown(stage, printer);
  await replayed(stage, printer, outage);
  await summary(stage, printer);
}

async function firstStart({ simulator, program, until }: Stage, printer: Printer): Promise<void> {
  printer.step('The first start brings everyone whom the rule finds');
  printer.say('Pro customers whose latest view of pricing or settings is at most 7 days old.');
  const { users } = await until(
    'the three seeded users arrive at Iterable',
    BACKFILL_MS_MAX,
    async () => {
      const held = await simulator.held();
      return held.counts.events >= SEEDED.length && held;
    },
  );
  for (const { email } of SEEDED) {
    const events = Object.keys(users.find((user) => user.email === email)?.events ?? {});
    expect(events.length === 1, `Iterable holds one event of ${email}`);
    printer.seen(`${email.padEnd(24)} profile, and event ${events.join(', ')}`);
  }
  expect(users.length === SEEDED.length, 'Iterable holds these three and nobody else');
  printer.seen('nobody else');
  await until('GET /readyz is 200', BACKFILL_MS_MAX, async () => {
    return (await program.readiness()).status === 200;
  });
}

async function newView(stage: Stage, printer: Printer): Promise<void> {
  const { simulator } = stage;
  printer.step('A pro customer looks at the pricing page');
  printer.block(insertSql(KATE.id, 'pricing'), 'cyan');
  const since = await simulator.lastSeq();
  const { viewId, committingMs } = await insertView(stage, KATE.id);
  const track = await arrivalOf(stage, viewId, since);
  const update = (await simulator.arrivals(since)).find(({ email }) => email === KATE.email);
  const user = await simulator.user(KATE.email);
  const event = user?.events[eventId(viewId)];
  expect(update?.id === null, 'users/update arrives before events/track');
  if (update === undefined || user === null || event === undefined) return;
  printer.say('Two calls came of it, one after the other:');
  printer.line();
  printer.say('POST /api/users/update');
  printer.json({ email: user.email, dataFields: user.dataFields });
  printer.say('POST /api/events/track');
  const { id, eventName, createdAt, dataFields } = event;
  printer.json({ email: user.email, eventName, id, createdAt, dataFields });
  printer.line();
  printer.seen(
    `from COMMIT on: users/update arrived after ${duration(update.at - committingMs)}, ` +
      `events/track after ${duration(track.at - committingMs)}`,
  );
  const times = await measure(stage);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  const slowest = times.at(-1) ?? 0;
  printer.seen(
    `${MEASURED_VIEWS} more views, one by one: median ${duration(median)}, slowest ${duration(slowest)}`,
  );
}

/** Commit to arrival of events/track, in ms, ascending. */
async function measure(stage: Stage): Promise<number[]> {
  const times: number[] = [];
  let since = await stage.simulator.lastSeq();
  for (let i = 0; i < MEASURED_VIEWS; i += 1) {
    const { id } = SEEDED[i % SEEDED.length] ?? KATE;
    const { viewId, committingMs } = await insertView(stage, id, i % 2 ? 'settings' : 'pricing');
    const arrival = await arrivalOf(stage, viewId, since);
    since = arrival.seq;
    times.push(arrival.at - committingMs);
  }
  return times.sort((a, b) => a - b);
}

async function viewOfFreeUser(stage: Stage, printer: Printer): Promise<number> {
  const { program, simulator, until } = stage;
  printer.step('A free customer looks at the same page');
  printer.block(insertSql(JOHN.id, 'pricing'), 'cyan');
  const settled = (): Promise<number> => program.metric('deliveries_total', 'outcome="ineligible"');
  const before = await settled();
  const { viewId } = await insertView(stage, JOHN.id);
  const after = await until("John's view is settled as ineligible", ARRIVAL_MS_MAX, async () => {
    const now = await settled();
    return now > before && now;
  });
  expect((await simulator.user(JOHN.email)) === null, `Iterable does not know ${JOHN.email}`);
  printer.seen(`deliveries_total{outcome="ineligible"} went from ${before} to ${after}`);
  printer.seen(`Iterable does not know ${JOHN.email}`);
  return viewId;
}

async function turnsPro(stage: Stage, printer: Printer, viewId: number): Promise<void> {
  printer.step('The free customer turns pro');
  const update = `UPDATE customers SET plan_type = 'pro' WHERE id = ${JOHN.id};`;
  printer.block(update, 'cyan');
  const since = await stage.simulator.lastSeq();
  const committingMs = nowMs();
  await stage.sql.query(update);
  const { at } = await arrivalOf(stage, viewId, since);
  const after = duration(at - committingMs);
  printer.seen(`${JOHN.email}: profile, and event ${eventId(viewId)}, after ${after}`);
}

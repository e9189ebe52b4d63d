import type { Database } from '../database/open.ts';
import type { Delivery } from '../deliver/sink.ts';
import { type Trigger, askedFor } from '../deliver/trigger.ts';
import { InFlight } from '../in-flight.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import type { Rule } from '../rule/rule.ts';
import type { BackfillOptions } from './backfill.ts';
import { Batch } from './batch.ts';
import { BulkPipeline } from './bulk-pipeline.ts';
import { BulkSender } from './bulk-sender.ts';
import type { CommandContext } from './context.ts';
import { CountBeside } from './count-beside.ts';
import { lazyDeadLetters } from './lazy-dead-letters.ts';
import { Progress } from './progress.ts';
import type { ResumeFile } from './resume-file.ts';
import { NOBODY } from './totals.ts';
import { untilStopped } from './until-stopped.ts';

/** What was done since the last time is repeated after a crash. */
const SAVE_EVERY_MS = 100;

/** Whom to send, and where it is kept how far that is. */
interface Found {
  database: Database;
  rule: Rule;
  /** Pages of eligible users, in id order, all behind `afterId`. */
  source: AsyncIterable<EligibleUser[]>;
  afterId: string;
  resumeFile: ResumeFile;
}

/** Sends everyone in `source`; returns the exit code. */
export async function sendFound(
  context: CommandContext,
  options: BackfillOptions,
  found: Found,
): Promise<number> {
  const { database, rule, afterId, resumeFile } = found;
  await using deadLetters = lazyDeadLetters(context);
  await using batch = new Batch(context, {
    rule,
    session: database.session,
    share: options.rateShare,
    deadLetters,
    looksMax: 1,
  });
  resumeFile.begin(afterId);
  const run: Run = { batch, done: new InFlight(), found: 0, passedOver: 0 };
  const finished = await sendAll(context, options, found, run);
  if (finished && run.found === 0) context.say(NOBODY);
  return batch.exitCode(finished);
}

/** A run and how far it is. */
interface Run {
  batch: Batch;
  /** User ids, in order. */
  done: InFlight<string>;
  /** Users that the rule has found so far. */
  found: number;
  /** Of those, users with nothing to send by the time it was their turn. */
  passedOver: number;
}

/** Whether all were sent; false when it was stopped before. */
async function sendAll(
  { logger, outages, screen, signal }: CommandContext,
  { bulk, limit }: BackfillOptions,
  { rule, source, afterId, resumeFile }: Found,
  run: Run,
): Promise<boolean> {
  const { batch, done } = run;
  const save = (): void => {
    try {
      resumeFile.save(done.finishedPosition ?? afterId);
      outages.set('resume file', 'backfill', null);
    } catch (error) {
      const { message } = error as Error;
      const sentence = `how far it is cannot be saved (${message}); trying again`;
      outages.set('resume file', 'backfill', sentence);
    }
  };
  const saves = setInterval(save, SAVE_EVERY_MS);
  const usersDone = (): number => batch.usersDone + run.passedOver;
  using progress = new Progress({ what: 'users', done: usersDone, screen, logger });
  const onTotal = (total: number): void => progress.setTotal(total);
  using count = new CountBeside({ rule, afterId, limit, onTotal, logger });
  let finished = false;
  try {
    finished = await untilStopped((bulk ? sendBulk : sendSingly)(run, source), batch.fatal, signal);
  } finally {
    clearInterval(saves);
    progress[Symbol.dispose]();
    // Nobody found: one sentence says it.
    const isNobody = finished && run.found === 0;
    await batch.end(isNobody ? null : (processed) => (finished ? 0 : count.leftAfter(processed)));
    if (finished && limit === null) resumeFile.remove();
    else save();
  }
  return finished;
}

function lookAt(userId: string, finish: Trigger['finish']): Trigger {
  return askedFor(userId, { ms: performance.now(), epochMs: Date.now() }, finish);
}

/**
 * What became of a user's trigger: where nothing was sent, no delivery counts it, but for the one
 * `before`, which is recorded then.
 */
function finisher(run: Run, finish: () => void, before: Delivery | null = null): Trigger['finish'] {
  return (outcome) => {
    const isPassedOver = outcome === 'ineligible' || outcome === 'superseded';
    if (isPassedOver && before !== null) {
      const { batch } = run;
      // Where it cannot be recorded, the batch gives up, and the user is not done.
      return void batch.sendBeside(batch.record([before])).then(finish, () => undefined);
    }
    finish();
    if (isPassedOver) run.passedOver += 1;
  };
}

async function sendSingly(run: Run, source: AsyncIterable<EligibleUser[]>): Promise<void> {
  const { batch, done } = run;
  for await (const page of source) {
    if (batch.isEnding) return;
    run.found += page.length;
    const triggers = page.map((user) => {
      const tracked = done.add(user.userId);
      return lookAt(
        user.userId,
        finisher(run, () => done.finish(tracked)),
      );
    });
    batch.reconciler.accept(triggers);
    await batch.reconciler.room();
  }
  await batch.reconciler.idle();
}

async function sendBulk(run: Run, source: AsyncIterable<EligibleUser[]>): Promise<void> {
  const { batch, done } = run;
  const bulk = new BulkSender(batch);
  const pipeline = new BulkPipeline((page, onUpdated) => {
    const tracked = page.map(({ userId }) => ({ userId, item: done.add(userId) }));
    const sending = bulk.send(page, onUpdated).then((left) => {
      for (const { userId, item } of tracked) {
        const delivery = left.get(userId);
        const finish = finisher(run, () => done.finish(item), delivery);
        if (delivery === undefined) done.finish(item);
        else batch.reconciler.accept([lookAt(userId, finish)]);
      }
    });
    return batch.sendBeside(sending);
  });
  for await (const page of batch.sink.bulk.pages(source)) {
    if (batch.isEnding) return;
    run.found += page.length;
    await pipeline.begin(page);
    await batch.reconciler.room();
  }
  await pipeline.idle();
  await batch.reconciler.idle();
}

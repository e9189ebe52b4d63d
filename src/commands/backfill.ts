import { InFlight } from '../in-flight.ts';
import { openDatabase } from '../database/open.ts';
import type { WorkItem } from '../delivery/engine.ts';
import { hasUsableEmail, trackedEvent, userUpdate } from '../iterable/payloads.ts';
import { plainJson } from '../plain-text.ts';
import { type EligibleUser } from '../rule/eligible-user.ts';
import type { Logger } from '../observe/logger.ts';
import { ruleFingerprint } from '../rule/fingerprint.ts';
import { Rule } from '../rule/rule.ts';
import { Batch, untilStopped } from './batch.ts';
import { BulkPipeline } from './bulk-pipeline.ts';
import { BulkSender } from './bulk-sender.ts';
import { callSized } from './call-sized.ts';
import type { CommandContext } from './context.ts';
import { CountBeside } from './count-beside.ts';
import { lazyDeadLetters } from './lazy-dead-letters.ts';
import { Progress } from './progress.ts';
import { ResumeFile } from './resume-file.ts';
import { STOPPED_EXIT_CODE } from './shutdown.ts';

export interface BackfillOptions {
  dryRun: boolean;
  bulk: boolean;
  resume: boolean;
  /** At most so many users; null for all. */
  limit: number | null;
  /** Part of Iterable's limits, 0 to 1. */
  rateShare: number;
}

const PAGE_CUSTOMERS = 1_000;
/** What was done since the last time is repeated after a crash. */
const SAVE_EVERY_MS = 100;
const NOBODY = 'No pro users with recent pricing/settings page views found';

/** Pages of eligible users, cut off after `limit` users. */
async function* pages(
  rule: Rule,
  afterId: string,
  limit: number | null,
): AsyncGenerator<EligibleUser[]> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const page of rule.everyone(PAGE_CUSTOMERS, afterId)) {
    if (left <= 0) return;
    yield page.slice(0, left);
    left -= page.length;
  }
}

/** One line of JSON a user: both payloads, or why there is none. */
export function dryRunLine(user: EligibleUser): string {
  const ids = { user_id: user.userId, page_view_id: user.pageViewId };
  if (!hasUsableEmail(user)) return plainJson({ ...ids, refused: 'no usable e-mail address' });
  return plainJson({
    ...ids,
    users_update: userUpdate(user),
    events_track: trackedEvent(user),
  });
}

/** The user id to begin after, and a sentence that says why. */
function beginning(options: BackfillOptions, file: ResumeFile, logger: Logger): string {
  if (!options.resume) return '0';
  const left = file.load();
  switch (left.kind) {
    case 'nothing':
      logger.info('nothing to resume: starting with the first user');
      return '0';
    case 'other rule':
      logger.warn(
        'the rule, its time zone or the Iterable project is not the one of the backfill to resume: starting with the first user',
      );
      return '0';
    case 'place':
      if (left.lastUserId === '0') logger.info('resuming: nobody was done, so with the first user');
      else logger.info(`resuming after user ${left.lastUserId}`);
      return left.lastUserId;
  }
}

/** The rule's query → Iterable, once. */
export async function backfill(context: CommandContext, options: BackfillOptions): Promise<number> {
  const { settings, logger, say } = context;
  await using database = await openDatabase(settings.db);
  const resumeFile = new ResumeFile(settings.topics.stateDir, ruleFingerprint(settings));
  const afterId = beginning(options, resumeFile, logger);
  const rule = new Rule(database.query, settings.rule);
  if (options.dryRun) return await dryRun(context, pages(rule, afterId, options.limit));
  await using deadLetters = lazyDeadLetters(context);
  await using batch = new Batch(context, {
    query: database.query,
    session: database.session,
    share: options.rateShare,
    deadLetters,
    looksMax: 1,
  });
  resumeFile.begin(afterId);
  const run: Run = { batch, done: new InFlight(), found: 0, passedOver: 0 };
  const finished = await sendAll(context, options, { rule, afterId, resumeFile, run });
  if (finished && run.found === 0) say(NOBODY);
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

interface SendOptions {
  rule: Rule;
  afterId: string;
  resumeFile: ResumeFile;
  run: Run;
}

/** Whether all were sent; false when it was stopped before. */
async function sendAll(
  { logger, outages, screen, signal }: CommandContext,
  { bulk, limit }: BackfillOptions,
  { rule, afterId, resumeFile, run }: SendOptions,
): Promise<boolean> {
  const { batch, done } = run;
  const save = (): void => {
    try {
      resumeFile.save(done.finishedPosition ?? afterId);
      outages.set('resume file', 'backfill', null);
    } catch (error) {
      const { message } = error as Error;
      const sentence = `how far it is can not be saved (${message}); trying again`;
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
    const source = pages(rule, afterId, limit);
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

async function dryRun(
  { print, say, logger, signal }: CommandContext,
  source: AsyncIterable<EligibleUser[]>,
): Promise<number> {
  let found = 0;
  for await (const page of source) {
    found += page.length;
    for (const user of page) print(dryRunLine(user));
    if (signal.aborted) return STOPPED_EXIT_CODE;
  }
  if (found === 0) say(NOBODY);
  else logger.info(`${found} ${found === 1 ? 'user' : 'users'} would be sent`);
  return 0;
}

function lookAt(userId: string, finish: WorkItem['finish']): WorkItem {
  return {
    userId,
    viewId: null,
    isChange: false,
    gtid: null,
    committedAtMs: Date.now(),
    seenAtMs: performance.now(),
    finish,
  };
}

/** What became of a user's item: where nothing was sent, no delivery counts it. */
function finisher(run: Run, finish: () => void): WorkItem['finish'] {
  return (outcome) => {
    finish();
    if (outcome === 'ineligible' || outcome === 'superseded') run.passedOver += 1;
  };
}

async function sendSingly(run: Run, source: AsyncIterable<EligibleUser[]>): Promise<void> {
  const { batch, done } = run;
  for await (const page of source) {
    if (batch.isEnding) return;
    run.found += page.length;
    const items = page.map((user): WorkItem => {
      const tracked = done.add(user.userId);
      return lookAt(
        user.userId,
        finisher(run, () => done.finish(tracked)),
      );
    });
    batch.engine.accept(items);
    await batch.engine.room();
  }
  await batch.engine.idle();
}

async function sendBulk(run: Run, source: AsyncIterable<EligibleUser[]>): Promise<void> {
  const { batch, done } = run;
  const bulk = new BulkSender(batch);
  const pipeline = new BulkPipeline((page, onUpdated) => {
    const tracked = page.map(({ userId }) => ({ userId, item: done.add(userId) }));
    const sending = bulk.send(page, onUpdated).then((failing) => {
      for (const { userId, item } of tracked) {
        if (!failing.has(userId)) done.finish(item);
        else {
          const finish = finisher(run, () => done.finish(item));
          batch.engine.accept([lookAt(userId, finish)]);
        }
      }
    });
    return batch.sendBeside(sending);
  });
  for await (const page of callSized(source)) {
    if (batch.isEnding) return;
    run.found += page.length;
    await pipeline.begin(page);
    await batch.engine.room();
  }
  await pipeline.idle();
  await batch.engine.idle();
}

import { InFlight } from '../in-flight.ts';
import { openDatabase } from '../database/open.ts';
import type { WorkItem } from '../delivery/engine.ts';
import { hasUsableEmail, trackedEvent, userUpdate } from '../iterable/payloads.ts';
import { plainJson } from '../plain-text.ts';
import { type EligibleUser } from '../rule/eligible-user.ts';
import { Rule } from '../rule/rule.ts';
import { Batch, untilStopped } from './batch.ts';
import { BulkSender } from './bulk-sender.ts';
import type { CommandContext } from './context.ts';
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
const SAVE_EVERY_MS = 1_000;
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

/** The rule's query → Iterable, once. */
export async function backfill(context: CommandContext, options: BackfillOptions): Promise<number> {
  const { settings, logger, signal, print } = context;
  await using database = await openDatabase(settings.db);
  const resumeFile = new ResumeFile(settings.topics.stateDir);
  const from = options.resume ? resumeFile.load() : null;
  if (options.resume) {
    logger.info(
      from === null
        ? 'nothing to resume: starting with the first user'
        : `resuming after user ${from}`,
    );
  }
  const afterId = from ?? '0';
  const rule = new Rule(database.query, settings.rule);
  const counted = await rule.count(afterId);
  const total = Math.min(counted, options.limit ?? counted);
  if (total === 0) {
    print(NOBODY);
    if (!options.dryRun) resumeFile.remove();
    return 0;
  }
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
  const done = new InFlight<string>();
  let isSaved = true;
  const save = (): void => {
    try {
      resumeFile.save(done.finishedPosition ?? afterId);
      isSaved = true;
    } catch (error) {
      if (isSaved) logger.warn({ err: error }, 'how far it is can not be saved; trying again');
      isSaved = false;
    }
  };
  const saves = setInterval(save, SAVE_EVERY_MS);
  let finished = false;
  try {
    using progress = new Progress('users', total);
    const onFinish = (): void => progress.set(batch.totals.processed);
    const source = pages(rule, afterId, options.limit);
    const work = (options.bulk ? sendBulk : sendSingly)(batch, source, done, onFinish);
    finished = await untilStopped(work, batch.fatal, signal);
  } finally {
    clearInterval(saves);
    await batch.end((processed) => (finished ? 0 : Math.max(0, total - processed)));
    if (finished && options.limit === null) resumeFile.remove();
    else save();
  }
  return batch.exitCode(finished);
}

async function dryRun(
  { print, signal }: CommandContext,
  source: AsyncIterable<EligibleUser[]>,
): Promise<number> {
  for await (const page of source) {
    for (const user of page) print(dryRunLine(user));
    if (signal.aborted) return STOPPED_EXIT_CODE;
  }
  return 0;
}

async function sendSingly(
  batch: Batch,
  source: AsyncIterable<EligibleUser[]>,
  done: InFlight<string>,
  onFinish: () => void,
): Promise<void> {
  for await (const page of source) {
    if (batch.isEnding) return;
    const items = page.map((user): WorkItem => {
      const tracked = done.add(user.userId);
      return {
        userId: user.userId,
        viewId: null,
        isChange: false,
        gtid: null,
        committedAtMs: Date.now(),
        seenAtMs: performance.now(),
        finish: () => {
          done.finish(tracked);
          onFinish();
        },
      };
    });
    batch.engine.accept(items);
    await batch.engine.room();
  }
  await batch.engine.idle();
}

async function sendBulk(
  batch: Batch,
  source: AsyncIterable<EligibleUser[]>,
  done: InFlight<string>,
  onFinish: () => void,
): Promise<void> {
  const bulk = new BulkSender(batch);
  for await (const page of source) {
    if (batch.isEnding) return;
    const tracked = page.map((user) => done.add(user.userId));
    await batch.sendBeside(bulk.send(page));
    for (const item of tracked) done.finish(item);
    onFinish();
  }
}

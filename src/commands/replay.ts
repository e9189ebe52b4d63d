import { openDatabase } from '../database/open.ts';
import { Intake } from '../deliver/intake.ts';
import { readMessage } from '../deliver/read-message.ts';
import { UsageError } from '../errors.ts';
import { systemClock } from '../model/clock.ts';
import { Rule } from '../rule/rule.ts';
import { openTopics } from '../topics/open.ts';
import type { PartitionBounds, Topics } from '../topics/port.ts';
import { dryRunLine } from './backfill.ts';
import { Batch } from './batch.ts';
import type { CommandContext } from './context.ts';
import { Progress } from './progress.ts';
import { type Chosen, type ReplaySpan, checkSpan, choose, withTimes } from './replay-span.ts';
import { STOPPED_EXIT_CODE } from './shutdown.ts';
import { untilStopped } from './until-stopped.ts';

export interface ReplayOptions extends ReplaySpan {
  dryRun: boolean;
  /** Part of Iterable's limits, 0 to 1. */
  rateShare: number;
}

const LOOKUP_USERS = 500;

/** What is to be read: both topics from a time, or the page views topic from the given offsets. */
async function chosen(
  topics: Topics,
  options: ReplayOptions,
  signal: AbortSignal,
): Promise<Chosen & { isEmpty: boolean }> {
  const { pageViews, userChanges } = topics.names;
  const { fromMs, fromOffsets, toMs } = options;
  const bounds = await topics.bounds(fromMs === null ? [pageViews] : [pageViews, userChanges]);
  const known = [...new Set(bounds.map(({ topic }) => topic))];
  if (!known.includes(pageViews)) {
    throw new UsageError(
      `there is no topic ${pageViews} in ${topics.description}; check KAFKA_TOPIC, and KAFKA_BROKERS or STATE_DIR`,
    );
  }
  const isByOffsets = fromMs === null && toMs === null;
  const held = isByOffsets
    ? bounds.map((at) => ({ ...at, firstMs: null, lastMs: null }))
    : await withTimes(topics, bounds, signal);
  const starts =
    fromMs === null
      ? new Map(fromOffsets.map((at) => [`${pageViews}/${at.partition}`, at.offset]))
      : await offsetsAt(topics, known, fromMs);
  // `--to` includes its own millisecond.
  const ends = toMs === null ? new Map() : await offsetsAt(topics, known, toMs + 1);
  const isEmpty = bounds.every(({ begin, end }) => begin >= end);
  return { ...choose(options, held, starts, ends, Date.now()), isEmpty };
}

async function offsetsAt(
  topics: Topics,
  names: readonly string[],
  timeMs: number,
): Promise<Map<string, number>> {
  const found = await Promise.all(names.map((name) => topics.offsetsAtTime(name, timeMs)));
  return new Map(found.flat().map((at) => [`${at.topic}/${at.partition}`, at.offset]));
}

/** Delivers part of the topic again; the live group's offsets stay as they are. */
export async function replay(context: CommandContext, options: ReplayOptions): Promise<number> {
  const { settings, logger, outages, signal, screen, say } = context;
  checkSpan(options);
  await using database = await openDatabase(settings.db);
  await using topics = await openTopics(settings.topics, logger, outages);
  const { ranges: wanted, warnings, isEmpty } = await chosen(topics, options, signal);
  for (const sentence of warnings) logger.warn(sentence);
  const total = wanted.reduce((sum, { begin, end }) => sum + end - begin, 0);
  if (total === 0) {
    const { pageViews } = topics.names;
    say(
      isEmpty
        ? `${pageViews} holds no messages: there is nothing to replay`
        : `No message of ${pageViews} is from this time`,
    );
    return 0;
  }
  logger.info({ messages: total }, `replaying from ${topics.description}`);
  const rule = new Rule(database.query, settings.rule, settings.db);
  await rule.ready();
  if (options.dryRun) return await dryRun(context, topics, wanted, rule);
  await using batch = new Batch(context, {
    rule,
    session: database.session,
    share: options.rateShare,
    deadLetters: topics.deadLetters,
    looksMax: 3,
    usersMax: 20_000,
  });
  let finishedMessages = 0;
  let finished = false;
  try {
    // A message whose user is still to be looked at once more is done.
    const done = (): number => finishedMessages + batch.usersUnverified;
    using progress = new Progress({ what: 'messages', done, screen, logger });
    progress.setTotal(total);
    const intake = new Intake({
      reconciler: batch.reconciler,
      format: settings.topicFormat,
      model: settings.db.model,
      pageViewsTopic: topics.names.pageViews,
      pages: settings.rule.pages,
      lookbackDays: settings.rule.lookbackDays,
      deadLetters: { add: (letters) => batch.keep(letters) },
      onOutcome: (_outcome, messages) => void (finishedMessages += messages),
      onUnreadable: (letter) => logger.warn({ id: letter.id }, letter.reason),
      clock: systemClock,
    });
    const work = (async () => {
      for await (const messages of topics.read(wanted, signal)) {
        if (batch.isEnding) return;
        await intake.accept(messages);
      }
      if (!batch.isEnding) await batch.reconciler.idle();
    })();
    finished = await untilStopped(work, batch.fatal, signal);
  } finally {
    // Users not attempted cannot be counted without the rule: what is left are messages.
    const unfinishedUsers = batch.reconciler.usersUnfinished;
    await batch.end(() => (finished ? 0 : unfinishedUsers));
    if (!finished) {
      say(
        `Messages finished: ${finishedMessages} of ${total}; start the same replay again to send the rest`,
      );
    }
  }
  if (finished && batch.totals.processed === 0) say('No eligible user in this part of the topic');
  return batch.exitCode(finished);
}

async function dryRun(
  { settings, print, signal }: CommandContext,
  topics: Topics,
  wanted: readonly PartitionBounds[],
  rule: Rule,
): Promise<number> {
  const seen = new Set<string>();
  for await (const messages of topics.read(wanted, signal)) {
    const users = new Set<string>();
    for (const message of messages) {
      const isViews = message.topic === topics.names.pageViews;
      const reading = readMessage(
        message,
        isViews ? settings.topicFormat : 'page_view',
        settings.db.model,
      );
      const triggers = reading.kind === 'triggers' ? reading.triggers : [];
      for (const { userId } of triggers) if (!seen.has(userId)) users.add(userId);
    }
    const ids = [...users];
    for (let i = 0; i < ids.length; i += LOOKUP_USERS) {
      const slice = ids.slice(i, i + LOOKUP_USERS);
      for (const id of slice) seen.add(id);
      for (const user of await rule.among(slice)) print(dryRunLine(user));
    }
  }
  return signal.aborted ? STOPPED_EXIT_CODE : 0;
}

import { openDatabase } from '../database/open.ts';
import { Intake } from '../delivery/intake.ts';
import { readMessage } from '../delivery/read-message.ts';
import { UsageError } from '../errors.ts';
import { Rule } from '../rule/rule.ts';
import { openTopics } from '../topics/open.ts';
import type { PartitionBounds, Topics } from '../topics/port.ts';
import { dryRunLine } from './backfill.ts';
import { Batch, untilStopped } from './batch.ts';
import type { CommandContext } from './context.ts';
import { Progress } from './progress.ts';
import { STOPPED_EXIT_CODE } from './shutdown.ts';

export interface ReplayOptions {
  /** Epoch ms; null where `fromOffsets` says it. */
  fromMs: number | null;
  /** Of the page views topic. */
  fromOffsets: readonly { partition: number; offset: number }[];
  /** Epoch ms; null: the end as it is now. */
  toMs: number | null;
  dryRun: boolean;
  /** Part of Iterable's limits, 0 to 1. */
  rateShare: number;
}

const LOOKUP_USERS = 500;

/** What is to be read: both topics from a time, or the page views topic from the given offsets. */
async function ranges(topics: Topics, options: ReplayOptions): Promise<PartitionBounds[]> {
  const { pageViews, userChanges } = topics.names;
  const names = options.fromMs === null ? [pageViews] : [pageViews, userChanges];
  const bounds = await topics.bounds(names);
  const known = new Set(bounds.map(({ topic }) => topic));
  if (!known.has(pageViews)) {
    throw new UsageError(
      `there is no topic ${pageViews} in ${topics.description}; see KAFKA_TOPIC`,
    );
  }
  const begins = await startOffsets(topics, options, bounds);
  const ends = await endOffsets(topics, options, [...known]);
  return bounds.flatMap((range) => {
    const key = `${range.topic}/${range.partition}`;
    const begin = begins.get(key);
    if (begin === undefined) return [];
    const end = Math.min(range.end, ends.get(key) ?? range.end);
    const first = Math.max(range.begin, begin);
    return first < end ? [{ ...range, begin: first, end }] : [];
  });
}

async function offsetsAt(
  topics: Topics,
  names: readonly string[],
  timeMs: number,
): Promise<Map<string, number>> {
  const found = await Promise.all(names.map((name) => topics.offsetsAtTime(name, timeMs)));
  return new Map(found.flat().map((at) => [`${at.topic}/${at.partition}`, at.offset]));
}

async function startOffsets(
  topics: Topics,
  { fromMs, fromOffsets }: ReplayOptions,
  bounds: readonly PartitionBounds[],
): Promise<Map<string, number>> {
  const names = [...new Set(bounds.map(({ topic }) => topic))];
  if (fromMs !== null) return offsetsAt(topics, names, fromMs);
  const { pageViews } = topics.names;
  for (const { partition } of fromOffsets) {
    if (!bounds.some((range) => range.partition === partition)) {
      throw new UsageError(`--from-offset: ${pageViews} has no partition ${partition}`);
    }
  }
  return new Map(fromOffsets.map((at) => [`${pageViews}/${at.partition}`, at.offset]));
}

async function endOffsets(
  topics: Topics,
  { toMs }: ReplayOptions,
  names: readonly string[],
): Promise<Map<string, number>> {
  // `--to` includes its own millisecond.
  return toMs === null ? new Map() : offsetsAt(topics, names, toMs + 1);
}

/** Delivers part of the topic again; the live group's offsets stay as they are. */
export async function replay(context: CommandContext, options: ReplayOptions): Promise<number> {
  const { settings, logger, outages, signal, screen, say } = context;
  await using database = await openDatabase(settings.db);
  await using topics = await openTopics(settings.topics, logger, outages);
  const wanted = await ranges(topics, options);
  const total = wanted.reduce((sum, { begin, end }) => sum + end - begin, 0);
  logger.info({ messages: total }, `replaying from ${topics.description}`);
  if (options.dryRun)
    return await dryRun(context, topics, wanted, new Rule(database.query, settings.rule));
  await using batch = new Batch(context, {
    query: database.query,
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
      engine: batch.engine,
      format: settings.topicFormat,
      pageViewsTopic: topics.names.pageViews,
      pages: settings.rule.pages,
      deadLetters: { add: (letters) => batch.keep(letters) },
      onOutcome: () => void (finishedMessages += 1),
      onUnreadable: (letter) => logger.warn({ id: letter.id }, letter.reason),
      now: () => performance.now(),
      nowEpoch: () => Date.now(),
    });
    const work = (async () => {
      for await (const messages of topics.read(wanted, signal)) {
        if (batch.isEnding) return;
        await intake.accept(messages);
      }
      if (!batch.isEnding) await batch.engine.idle();
    })();
    finished = await untilStopped(work, batch.fatal, signal);
  } finally {
    // Users not attempted can not be counted without the rule: what is left are messages.
    const unfinishedUsers = batch.engine.usersUnfinished;
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
      const reading = readMessage(message, isViews ? settings.topicFormat : 'page_view');
      const requests = reading.kind === 'requests' ? reading.requests : [];
      for (const { userId } of requests) if (!seen.has(userId)) users.add(userId);
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

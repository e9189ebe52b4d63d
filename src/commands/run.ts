import { openDatabase } from '../database/open.ts';
import { runCapture } from '../capture/capture.ts';
import { RowMessages } from '../capture/messages.ts';
import { askEveryone, publishingTo } from '../capture/resync.ts';
import { systemClock } from '../model/clock.ts';
import { ruleFingerprint } from '../rule/fingerprint.ts';
import { Rule } from '../rule/rule.ts';
import { MysqlSource } from '../source/mysql/source.ts';
import { untilCommitsAreVisible } from '../database/semi-sync.ts';
import { DeliveryStream } from '../deliver/stream.ts';
import { UnavailableError } from '../errors.ts';
import { serveObserved } from '../observe/http-server.ts';
import { addProcessMetrics, createMetrics } from '../observe/metrics.ts';
import type { TopicsPart } from '../observe/outages.ts';
import { probed } from '../observe/probe.ts';
import { IterableSink } from '../sinks/iterable/sink.ts';
import { openTopics } from '../topics/open.ts';
import type { CommandContext } from './context.ts';
import { LiveState } from './live-state.ts';
import { aborted } from './shutdown.ts';
import { showStatus } from './status-line.ts';

/** Which halves of the pipeline run in this process. */
export interface Parts {
  capture: boolean;
  deliver: boolean;
}

/** Eligible users a page when the first start publishes everyone. */
const BOOTSTRAP_PAGE_CUSTOMERS = 2_000;
const CONNECTIONS_MAX = 1_000;
const PROBE_MS_MAX = 5_000;
const DATABASE_PROBE = { everyMs: 2_000, lateMs: 3_000, late: 'the database does not answer' };
/** Together with the grace of an outage: it is said within two seconds. */
const KAFKA_PROBE = { everyMs: 500, lateMs: 500 };

/** `run`, `capture` and `deliver`: until a signal, or until it cannot go on. */
export async function runStream(context: CommandContext, parts: Parts): Promise<number> {
  const { settings, logger, outages, signal } = context;
  const topicsPart: TopicsPart = settings.topics.kafka === null ? 'topics file' : 'Kafka';
  const metrics = createMetrics();
  addProcessMetrics(metrics.registry, context.version);
  const state = new LiveState(metrics, parts);
  await using database = await openDatabase(settings.db);
  const rule = new Rule(database.query, settings.rule, settings.db);
  // Capture asks more of the tables, and says it at its start.
  if (!parts.capture) await rule.ready();
  await using topics = await openTopics(settings.topics, logger, outages);
  await topics.ensureTopics();
  logger.info(`topics: ${topics.description}`);
  await using http = await serveObserved(settings.http, state);
  if (http !== null) logger.info(`status at ${http.url}`);
  const { screen } = context;
  using _line = screen === null ? null : showStatus(screen, () => state.figures());
  const ending = new AbortController();
  const stopCapture = AbortSignal.any([signal, ending.signal]);
  const running: Promise<unknown>[] = [aborted(signal)];
  let stream: DeliveryStream | null = null;
  await using sink = parts.deliver
    ? new IterableSink({
        settings: settings.iterable,
        metrics,
        outages,
        connectionsMax: CONNECTIONS_MAX,
        clock: systemClock,
        mayStart: () => stream?.isCurrent ?? true,
        onTroubleChange: (trouble) => state.set('iterable', 'breaker', trouble?.detail ?? null),
      })
    : null;
  await using publisher = parts.capture ? await topics.publisher() : null;
  using _database = parts.deliver
    ? probed(
        () => database.query('SELECT 1', {}, PROBE_MS_MAX),
        (reason) => {
          state.set('database', 'probe', reason);
          outages.set('database', 'probe', reason);
        },
        DATABASE_PROBE,
      )
    : null;
  using _kafka =
    topicsPart === 'Kafka'
      ? probed(
          () => topics.bounds([topics.names.pageViews]),
          (reason) => outages.set('Kafka', 'probe', reason),
          { ...KAFKA_PROBE, late: `${topics.description} does not answer` },
        )
      : null;
  let capture: Promise<void> = Promise.resolve();
  const eligibleUserIds = async function* (): AsyncGenerator<string[]> {
    // What is looked at is to be there: commits may be held back after they are in the log.
    await untilCommitsAreVisible((sql) => database.query(sql, {}), signal);
    for await (const page of rule.everyone(BOOTSTRAP_PAGE_CUSTOMERS)) {
      yield page.map((user) => user.userId);
    }
  };
  if (sink !== null) {
    stream = new DeliveryStream({
      topics,
      groupId: settings.groupId,
      format: settings.topicFormat,
      query: database.query,
      session: database.session,
      rule: settings.rule,
      db: settings.db,
      fingerprint: ruleFingerprint(settings),
      sink,
      metrics,
      logger,
      clock: systemClock,
      onTrouble: (part, reason) => {
        state.set(part, 'delivery', reason);
        outages.set(part === 'topics' ? topicsPart : part, 'delivery', reason);
      },
      lookAtEveryone: async (cause, stopping) => {
        await using temporary = publisher === null ? await topics.publisher() : null;
        const to = publisher ?? temporary;
        if (to === null) return;
        const publish = publishingTo(to, stopping);
        const encoder = new RowMessages(topics.names);
        await askEveryone(
          { eligibleUserIds, encoder, publish, clock: systemClock, signal: stopping },
          cause,
        );
      },
    });
    state.watch(stream, sink, topics.deadLetters);
    await stream.start();
    running.push(stream.failed);
  }
  if (publisher !== null) {
    capture = runCapture({
      source: new MysqlSource({
        db: settings.db,
        clock: systemClock,
        say: {
          warn: (sentence) => logger.warn(`capture: ${sentence}`),
          debug: (error, sentence) => logger.debug({ err: error }, `capture: ${sentence}`),
        },
      }),
      publisher,
      topicsPart,
      names: topics.names,
      startFrom: settings.startFrom,
      eligibleUserIds,
      logger,
      outages,
      clock: systemClock,
      signal: stopCapture,
      onStatus: (status) => state.captureStatus(status),
      onResync: (reason) => metrics.resyncs.inc({ reason }),
    });
    running.push(capture);
  }
  try {
    await Promise.race(running);
    if (!signal.aborted) throw new UnavailableError('the stream ended by itself; see the log');
  } finally {
    ending.abort();
    await Promise.allSettled([capture, stream?.stop()]);
  }
  logger.info('stopped; everything finished is saved');
  return 0;
}

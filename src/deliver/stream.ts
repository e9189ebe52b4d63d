import type { Database } from '../database/open.ts';
import type { Query } from '../database/open.ts';
import type { Clock } from '../model/clock.ts';
import { Rule, type RuleDatabase } from '../rule/rule.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { RuleSettings, TopicFormat } from '../settings/types.ts';
import type {
  GroupMember,
  MemberHandlers,
  ReceivedMessage,
  TopicOffset,
  Topics,
  Wait,
} from '../topics/port.ts';
import { within } from '../within.ts';
import { deadLetterOf, keepDeadLetters } from './dead-letter.ts';
import { isSent } from './delivery.ts';
import { DeliveryLines } from './delivery-lines.ts';
import { RECONCILER_DEFAULTS, type ReconcilerOptions } from './reconciler-options.ts';
import { Reconciler } from './reconciler.ts';
import { Intake } from './intake.ts';
import { LateLooks } from './late-looks.ts';
import { OffsetCommits } from './offset-commits.ts';
import { RecentDeliveries } from './recent-deliveries.ts';
import { Resync, type ResyncCause } from './resync.ts';
import type { TriggerOutcome } from './trigger.ts';
import { watchedLetters } from './watched-letters.ts';
import { SentMemory } from './sent-memory.ts';
import type { Sink } from './sink.ts';
import { lookAt } from './visibility.ts';

/** About 200 bytes a user. */
const MEMORY_USERS_MAX = 200_000;
const STOP_STEP_MS_MAX = 1_200;

/** `topics`: saving offsets; `resync`: asking for a look at everyone. */
export type StreamPart = 'database' | 'dead letters' | 'resync' | 'topics';

export interface StreamDeps {
  topics: Topics;
  groupId: string;
  format: TopicFormat;
  query: Query;
  /** For a look: its questions go to one server. */
  session: Database['session'];
  rule: RuleSettings;
  db: RuleDatabase;
  /** Of the rule and the Iterable project (`ruleFingerprint`): kept beside the group's offsets. */
  fingerprint: string;
  sink: Sink;
  metrics: Metrics;
  logger: Logger;
  clock: Clock;
  /** Told what keeps a part of delivery from moving, or null. */
  onTrouble: (part: StreamPart, reason: string | null) => void;
  /** Asks for a look at every eligible user, durably; returns early once `signal` has aborted. */
  lookAtEveryone: (cause: ResyncCause, signal: AbortSignal) => Promise<void>;
}

/** A member of the consumer group that delivers: topic → rule → Iterable. */
export class DeliveryStream {
  readonly #deps: StreamDeps;
  readonly #reconciler: Reconciler;
  readonly #intake: Intake;
  readonly #late: LateLooks;
  readonly #stop = new AbortController();
  readonly recent = new RecentDeliveries(20);
  readonly memory = new SentMemory(MEMORY_USERS_MAX);
  /** Once stopped, the member gets no answer before it leaves: the backlog stays where it is. */
  readonly #leaving = Promise.withResolvers<void>();
  #isStopping = false;
  #member: GroupMember | null = null;
  readonly #commits: OffsetCommits;
  #share: number | null = null;
  readonly #resync: Resync;

  constructor(deps: StreamDeps, options: ReconcilerOptions = RECONCILER_DEFAULTS) {
    this.#deps = deps;
    const rule = new Rule(deps.query, deps.rule, deps.db);
    const lines = new DeliveryLines(deps.logger);
    const { clock } = deps;
    const deadLetters = watchedLetters(
      deps.topics.deadLetters,
      (reason) => deps.onTrouble('dead letters', reason),
      clock,
    );
    this.#resync = new Resync({
      lookAtEveryone: deps.lookAtEveryone,
      commit: async (places) => await this.#member?.commit(places),
      onTrouble: (error) => this.#resyncTrouble(error),
      logger: deps.logger,
      clock,
    });
    this.#commits = new OffsetCommits({
      member: () => this.#member,
      progress: () => this.#intake.progress,
      isHeld: () => this.#resync.isOwed,
      onTrouble: (reason) => deps.onTrouble('topics', reason),
      clock,
    });
    const keep = (letters: Parameters<typeof keepDeadLetters>[1]): Promise<void> =>
      keepDeadLetters(deadLetters, letters, this.#stop.signal, clock);
    this.#late = new LateLooks({
      clock,
      accept: (triggers) => this.#reconciler.accept(triggers),
    });
    this.#reconciler = new Reconciler(
      {
        clock,
        look: async (ids, triggers) => {
          const answer = await deps.session((session) => lookAt(rule, session, ids, triggers));
          this.#late.note(triggers, answer);
          return answer;
        },
        sink: deps.sink,
        memory: this.memory,
        onTrouble: (error) => this.#databaseTrouble(error),
        onFailed: (failed, newest) => lines.failed(failed, newest),
        onPassedOver: (...look) => lines.passedOver(...look),
        onDelivery: async (delivery, newest) => {
          const now = clock.epochMs();
          lines.delivered(delivery, newest);
          const letter = deadLetterOf(delivery, now);
          if (letter !== null) {
            await keep([letter]);
            deps.logger.warn({ user_id: letter.userId, id: letter.id }, letter.reason);
          }
          this.recent.add(delivery, now - newest.committedAtMs);
          if (!isSent(delivery)) return;
          deps.metrics.commitToDelivery.observe(Math.max(0, now - newest.committedAtMs) / 1000);
        },
      },
      options,
    );
    this.#intake = new Intake({
      clock,
      reconciler: this.#reconciler,
      format: deps.format,
      model: deps.db.model,
      pageViewsTopic: deps.topics.names.pageViews,
      pages: deps.rule.pages,
      lookbackDays: deps.rule.lookbackDays,
      deadLetters: { add: keep },
      onOutcome: (outcome: TriggerOutcome, messages) =>
        deps.metrics.deliveries.inc({ outcome }, messages),
      onUnreadable: (letter) => {
        deps.metrics.unreadableMessages.inc();
        deps.logger.warn({ id: letter.id }, letter.reason);
      },
    });
  }

  /** Rejects when the member cannot go on. */
  get failed(): Promise<never> {
    return this.#member?.failed ?? new Promise<never>(() => undefined);
  }

  /** This member's part of the group's partitions; null while it has none assigned. */
  get share(): number | null {
    return this.#share;
  }

  /** Whether the group can still take this member for one of its own. */
  get isCurrent(): boolean {
    return this.#member?.isCurrent ?? true;
  }

  /** What the member waits for, longer than a moment. */
  get waits(): readonly Wait[] {
    return this.#member?.waits ?? [];
  }

  get inFlight(): { messages: number; deliveries: number } {
    return {
      messages: this.#reconciler.unfinished,
      deliveries: this.#reconciler.deliveriesInFlight,
    };
  }

  async start(): Promise<void> {
    const { topics, groupId, fingerprint, sink, logger } = this.#deps;
    const names = [topics.names.pageViews, topics.names.userChanges];
    const handlers: MemberHandlers = {
      onRebalancing: () => {
        this.#share = null;
        sink.setShare(0);
      },
      onAssigned: ({ partitions, share }) => {
        this.#intake.reset();
        // What was seen of the work until now; nothing of it may be there to see the end of it.
        this.#deps.onTrouble('database', null);
        this.#deps.onTrouble('topics', null);
        this.#resync.forget();
        // Another member may have sent something for these users since.
        this.memory.clear();
        this.#share = share;
        sink.setShare(share);
        logger.info({ partitions: partitions.length, share }, 'delivering');
      },
      onMessages: (messages: readonly ReceivedMessage[]) =>
        this.#isStopping ? this.#leaving.promise : this.#intake.accept(messages),
      onLost: (begins) => {
        // Where the log begins anew, the numbers of before mean something else.
        this.#intake.progress.restart(begins);
        this.#resyncOf(begins, 'retention');
      },
      onOtherMark: (places) => this.#resyncOf(places, 'rule'),
    };
    this.#member = await topics.join(groupId, names, handlers, fingerprint);
    this.#commits.start();
  }

  /** Messages behind the group's commits, by topic. */
  async lag(): Promise<ReadonlyMap<string, number>> {
    return (await this.#member?.lag()) ?? new Map();
  }

  /** Starts nothing new, lets what is out end, commits what is finished, leaves the group. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#reconciler.stop();
    this.#late.clear();
    await this.#deps.sink.stop(() => this.#reconciler.drained());
    this.#stop.abort();
    this.#resync.stop();
    // A broker that is away must not hold up the stop: what is not committed comes again.
    await within(this.#commits.stop(), STOP_STEP_MS_MAX, this.#deps.clock);
    this.#leaving.resolve();
    const leaving = this.#member?.[Symbol.asyncDispose]();
    await within(Promise.resolve(leaving), STOP_STEP_MS_MAX, this.#deps.clock);
  }

  #resyncOf(places: readonly TopicOffset[], reason: ResyncCause): void {
    this.#deps.metrics.resyncs.inc({ reason });
    this.#resync.ask(places, reason);
  }

  #databaseTrouble(error: unknown): void {
    this.#deps.onTrouble('database', error === null ? null : (error as Error).message);
  }

  #resyncTrouble(error: unknown): void {
    const { onTrouble } = this.#deps;
    if (error === null) return onTrouble('resync', null);
    onTrouble('resync', `a look at everyone cannot be asked for: ${(error as Error).message}`);
  }
}

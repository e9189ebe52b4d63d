import { setTimeout as sleep } from 'node:timers/promises';
import type { Query } from '../rule/rule.ts';
import { Rule } from '../rule/rule.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { RuleSettings, TopicFormat } from '../settings/types.ts';
import type { GroupMember, ReceivedMessage, TopicOffset, Topics, Wait } from '../topics/port.ts';
import { deadLetterOf, keepDeadLetters } from './dead-letter.ts';
import { deliverUser, isSent } from './deliver-user.ts';
import { ENGINE_DEFAULTS, Engine, type EngineOptions, type LookOutcome } from './engine.ts';
import { Intake } from './intake.ts';
import { RecentDeliveries } from './recent-deliveries.ts';
import { type Sender, within } from './sender.ts';
import { SentMemory } from './sent-memory.ts';
import { readVisibility } from './visibility.ts';

/** About 200 bytes a user. */
const MEMORY_USERS_MAX = 200_000;
const COMMIT_EVERY_MS = 100;
const STOP_STEP_MS_MAX = 1_200;
const LOOK_AT_EVERYONE_RETRY_MS = 2_000;

export interface StreamDeps {
  topics: Topics;
  groupId: string;
  format: TopicFormat;
  query: Query;
  rule: RuleSettings;
  sender: Sender;
  metrics: Metrics;
  logger: Logger;
  /** Told what keeps delivery from moving, or null. */
  onTrouble: (reason: string | null) => void;
  /** Asks for a look at every eligible user, durably: what the topics lost is made good by it. */
  lookAtEveryone: (signal: AbortSignal) => Promise<void>;
}

/** A member of the consumer group that delivers: topic → rule → Iterable. */
export class DeliveryStream {
  readonly #deps: StreamDeps;
  readonly #engine: Engine;
  readonly #intake: Intake;
  readonly #stop = new AbortController();
  readonly recent = new RecentDeliveries(20);
  readonly memory = new SentMemory(MEMORY_USERS_MAX);
  /** Once stopped, the member gets no answer before it leaves: the backlog stays where it is. */
  readonly #leaving = Promise.withResolvers<void>();
  #isStopping = false;
  #member: GroupMember | null = null;
  #commits: NodeJS.Timeout | null = null;
  #committing: Promise<void> = Promise.resolve();
  #isCommitting = false;
  #failedCommits = 0;
  #share: number | null = null;
  /** Nothing is committed before it has ended. */
  #makingGood: Promise<void> = Promise.resolve();
  #isUnmended = false;

  constructor(deps: StreamDeps, options: EngineOptions = ENGINE_DEFAULTS) {
    this.#deps = deps;
    const rule = new Rule(deps.query, deps.rule);
    const clocks = { now: () => performance.now(), nowEpoch: () => Date.now() };
    const { deadLetters } = deps.topics;
    const keep = (letters: Parameters<typeof keepDeadLetters>[1]): Promise<void> =>
      keepDeadLetters(deadLetters, letters, deps.logger, this.#stop.signal);
    this.#engine = new Engine(
      {
        ...clocks,
        eligibleAmong: (ids) => rule.among(ids),
        visibility: (looks) => readVisibility(rule, deps.query, looks),
        deliver: (user, isWanted) => deliverUser(deps.sender.calls, user, isWanted),
        ...deps.sender.pace,
        memory: this.memory,
        onTrouble: (error) => this.#databaseTrouble(error),
        onDelivery: async (delivery, newest) => {
          const now = Date.now();
          const letter = deadLetterOf(delivery, now);
          if (letter !== null) {
            await keep([letter]);
            deps.logger.warn({ userId: letter.userId, id: letter.id }, letter.reason);
          }
          this.recent.add(delivery, now - newest.committedAtMs);
          if (!isSent(delivery)) return;
          deps.metrics.commitToDelivery.observe(Math.max(0, now - newest.committedAtMs) / 1000);
        },
      },
      options,
    );
    this.#intake = new Intake({
      ...clocks,
      engine: this.#engine,
      format: deps.format,
      pageViewsTopic: deps.topics.names.pageViews,
      pages: deps.rule.pages,
      deadLetters: { add: keep },
      onOutcome: (outcome: LookOutcome) => deps.metrics.deliveries.inc({ outcome }),
      onUnreadable: (letter) => {
        deps.metrics.unreadableMessages.inc();
        deps.logger.warn({ id: letter.id }, letter.reason);
      },
    });
  }

  /** Rejects when the member can not go on. */
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
    return { messages: this.#engine.unfinished, deliveries: this.#engine.deliveriesInFlight };
  }

  async start(): Promise<void> {
    const { topics, groupId, sender, logger } = this.#deps;
    const names = [topics.names.pageViews, topics.names.userChanges];
    this.#member = await topics.join(groupId, names, {
      onRebalancing: () => {
        this.#share = null;
        sender.setShare(0);
      },
      onAssigned: ({ partitions, share }) => {
        this.#intake.reset();
        // Another member may have sent something for these users since.
        this.memory.clear();
        this.#share = share;
        sender.setShare(share);
        logger.info({ partitions: partitions.length, share }, 'delivering');
      },
      onMessages: (messages: readonly ReceivedMessage[]) =>
        this.#isStopping ? this.#leaving.promise : this.#intake.accept(messages),
      onLost: (begins) => {
        logger.warn(
          { partitions: begins },
          'messages were deleted before this group read them (by retention, or with their topic); all eligible users are looked at again',
        );
        this.#makingGood = this.#makingGood.then(() => this.#makeGood(begins));
      },
    });
    this.#commits = setInterval(() => {
      if (!this.#isCommitting) void this.#commit();
    }, COMMIT_EVERY_MS);
  }

  /** Messages behind the group's commits, by topic. */
  async lag(): Promise<ReadonlyMap<string, number>> {
    return (await this.#member?.lag()) ?? new Map();
  }

  /** Starts nothing new, lets what is out end, commits what is finished, leaves the group. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#engine.stop();
    await this.#deps.sender.stop(() => this.#engine.drained());
    this.#stop.abort();
    if (this.#commits !== null) clearInterval(this.#commits);
    // A broker that is away must not hold up the stop: what is not committed comes again.
    await within(this.#commit(), STOP_STEP_MS_MAX);
    this.#leaving.resolve();
    const leaving = this.#member?.[Symbol.asyncDispose]();
    await within(Promise.resolve(leaving), STOP_STEP_MS_MAX);
  }

  /** One commit at a time; what a failed one held is held by the next. */
  #commit(): Promise<void> {
    this.#isCommitting = true;
    this.#committing = this.#committing
      .then(() => this.#commitMoved())
      .then(() => {
        this.#isCommitting = false;
      });
    return this.#committing;
  }

  /** Never rejects. */
  async #commitMoved(): Promise<void> {
    await this.#makingGood;
    if (this.#isUnmended) return;
    const member = this.#member;
    const { progress } = this.#intake;
    const moved = progress.takeMoved();
    if (member === null || moved.length === 0) return;
    try {
      await member.commit(moved);
      this.#failedCommits = 0;
    } catch (error) {
      progress.giveBack(moved);
      this.#failedCommits += 1;
      if (this.#failedCommits > 1) return;
      this.#deps.logger.warn({ err: error }, 'offsets could not be committed; trying again');
    }
  }

  /** Until it has worked, or the program stops: then the loss is found again at the next start. */
  async #makeGood(begins: readonly TopicOffset[]): Promise<void> {
    const { signal } = this.#stop;
    this.#isUnmended = true;
    while (!signal.aborted) {
      try {
        await this.#deps.lookAtEveryone(signal);
        if (signal.aborted) return;
        await this.#member?.commit(begins);
        this.#isUnmended = false;
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#databaseTrouble(error);
        await sleep(LOOK_AT_EVERYONE_RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #databaseTrouble(error: unknown): void {
    const reason = error === null ? null : `database: ${(error as Error).message}`;
    if (reason === null) this.#deps.logger.info('the database answers again');
    else this.#deps.logger.warn({ err: error }, 'the rule can not be asked; delivery waits');
    this.#deps.onTrouble(reason);
  }
}

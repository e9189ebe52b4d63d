import type { Clock } from '../model/clock.ts';
import type { DataModel } from '../model/data-model.ts';
import { Prefilter, type PrefilterOptions, isBefore } from '../rule/prefilter.ts';
import type { TopicFormat } from '../settings/types.ts';
import type { DeadLetter, DeadLetterStore, ReceivedMessage } from '../topics/port.ts';
import { type ReadTrigger, readMessage, scanOwnView } from './read-message.ts';
import type { Reconciler } from './reconciler.ts';
import { TopicProgress, type Tracked } from './topic-progress.ts';
import type { Cause, Trigger, TriggerOutcome } from './trigger.ts';

export interface IntakeDeps extends PrefilterOptions {
  reconciler: Reconciler;
  format: TopicFormat;
  /** What the tables and columns are called in messages of others. */
  model: DataModel;
  /** The topic that is written in `format`; the others are in our own form. */
  pageViewsTopic: string;
  deadLetters: Pick<DeadLetterStore, 'add'>;
  /** Told of so many messages that came to this. */
  onOutcome: (outcome: TriggerOutcome, messages: number) => void;
  onUnreadable: (letter: DeadLetter) => void;
  clock: Pick<Clock, 'now' | 'epochMs'>;
}

/** With the row that a change of our own form is about, where that can tell if it is visible. */
function causeOf({ userId, cause }: ReadTrigger, headers: ReceivedMessage['headers']): Cause {
  if (cause.kind !== 'change' || headers['log_position'] === undefined) return cause;
  const view = headers['page_view_id'];
  if (view === undefined) return { kind: 'change', table: 'customers', id: userId };
  return /^\d{1,20}$/.test(view) ? { kind: 'change', table: 'page_views', id: view } : cause;
}

/** A partition's messages that ask for nothing, up to the offset `next`: finished as one. */
interface Passed {
  topic: string;
  partition: number;
  next: number;
  messages: number;
}

interface Unreadable {
  letter: DeadLetter;
  settle: () => void;
}

/** Of the message only what outlives it: the whole would keep its bytes. */
function triggerOf(
  read: ReadTrigger,
  message: ReceivedMessage,
  seenAtMs: number,
  finish: Trigger['finish'],
): Trigger {
  const { topic, partition, offset, timestampMs, headers } = message;
  const gtid = read.gtid ?? headers['position'] ?? null;
  const logPosition = headers['log_position'] ?? null;
  return {
    userId: read.userId,
    cause: causeOf(read, headers),
    position: { topic, partition, offset, gtid, logPosition },
    committedAtMs: timestampMs,
    seenAtMs,
    finish,
  };
}

/** What is the same of messages that are taken in together. */
interface Arrival {
  /** Monotonic ms. */
  seenAtMs: number;
  /** Views of before this time are too old by two clocks, ours and that of the source; ISO. */
  oldest: string;
}

/** Turns messages into triggers for the reconciler, and counts how far they are finished. */
export class Intake {
  readonly #deps: IntakeDeps;
  readonly #prefilter: Prefilter;
  #progress = new TopicProgress();
  #passed: Passed | null = null;
  /**
   * When the newest view so far was committed, by the database's clock, epoch ms. What asks for a
   * look may carry the time of a machine whose clock is wrong by weeks.
   */
  #newestMs = 0;
  /** What onOutcome is still to be told. */
  readonly #outcomes = new Map<TriggerOutcome, number>();

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
    this.#prefilter = new Prefilter(deps);
  }

  get progress(): TopicProgress {
    return this.#progress;
  }

  /** After a rebalance: what was received before is void. */
  reset(): void {
    this.#progress = new TopicProgress();
    this.#deps.reconciler.reset();
  }

  /** Takes messages in and resolves when there is room for more. */
  async accept(messages: readonly ReceivedMessage[]): Promise<void> {
    const triggers: Trigger[] = [];
    const letters: Unreadable[] = [];
    const arrival = this.#arrival(messages);
    for (const message of messages) {
      if (!this.#scan(message, triggers, arrival)) this.#take(message, triggers, letters, arrival);
    }
    this.#endPassed();
    this.#deps.reconciler.accept(triggers);
    if (letters.length > 0) await this.#keep(letters);
    await this.#deps.reconciler.room();
  }

  #arrival(messages: readonly ReceivedMessage[]): Arrival {
    const { clock, pageViewsTopic } = this.#deps;
    for (const { topic, timestampMs } of messages) {
      if (topic === pageViewsTopic && timestampMs > this.#newestMs) this.#newestMs = timestampMs;
    }
    const nowMs = Math.min(clock.epochMs(), this.#newestMs);
    return { seenAtMs: clock.now(), oldest: this.#prefilter.oldest(nowMs) };
  }

  /** Takes a view of our own form, without parsing it; false where it is to be parsed. */
  #scan(message: ReceivedMessage, triggers: Trigger[], { oldest, seenAtMs }: Arrival): boolean {
    const { format, pageViewsTopic } = this.#deps;
    const { topic, partition, offset, value } = message;
    if (value === null || topic !== pageViewsTopic || format !== 'page_view') return false;
    const scanned = scanOwnView(value);
    if (scanned === null) return false;
    const { page, eventTime } = scanned;
    if (isBefore(eventTime, oldest) || !this.#prefilter.mayMatter(page)) {
      this.#pass(topic, partition, offset + 1);
      return true;
    }
    this.#endPassed();
    const progress = this.#progress;
    const finish = this.#finisher(progress, progress.add(topic, partition, offset + 1), true);
    triggers.push(triggerOf(scanned, message, seenAtMs, finish));
    return true;
  }

  /** Nothing is to be done for the message before this offset. */
  #pass(topic: string, partition: number, next: number): void {
    const passed = this.#passed;
    if (passed?.topic === topic && passed.partition === partition) {
      passed.next = next;
      passed.messages += 1;
      return;
    }
    this.#endPassed();
    this.#passed = { topic, partition, next, messages: 1 };
  }

  #endPassed(): void {
    const passed = this.#passed;
    if (passed === null) return;
    this.#passed = null;
    this.#progress.finish(this.#progress.add(passed.topic, passed.partition, passed.next));
    this.#tell('ineligible', passed.messages);
  }

  /** Together, once what is under way now has ended: one message after the other is dear. */
  #tell(outcome: TriggerOutcome, messages: number): void {
    if (this.#outcomes.size === 0) queueMicrotask(() => this.#tellAll());
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + messages);
  }

  #tellAll(): void {
    const all = [...this.#outcomes];
    this.#outcomes.clear();
    for (const [outcome, messages] of all) this.#deps.onOutcome(outcome, messages);
  }

  #take(
    message: ReceivedMessage,
    triggers: Trigger[],
    letters: Unreadable[],
    { seenAtMs }: Arrival,
  ): void {
    this.#endPassed();
    const { topic, partition, offset } = message;
    const format = topic === this.#deps.pageViewsTopic ? this.#deps.format : 'page_view';
    const reading = readMessage(message, format, this.#deps.model);
    const progress = this.#progress;
    if (reading.kind === 'triggers') {
      const last = reading.triggers.length - 1;
      reading.triggers.forEach((read, i) => {
        // A message is finished when its last trigger is, and all before it.
        const isLast = i === last;
        const tracked = progress.add(topic, partition, isLast ? offset + 1 : offset);
        const finish = this.#finisher(progress, tracked, isLast);
        if (read.cause.kind === 'view' && !this.#prefilter.mayMatter(read.page)) {
          finish('ineligible');
        } else triggers.push(triggerOf(read, message, seenAtMs, finish));
      });
      return;
    }
    const tracked = progress.add(topic, partition, offset + 1);
    if (reading.kind === 'nothing') return progress.finish(tracked);
    const settle = (): void => {
      progress.finish(tracked);
      this.#tell('refused', 1);
    };
    letters.push({ letter: this.#letter(message, reading.problem), settle });
  }

  /** A closure of its own: one made where the message is would keep the whole message. */
  #finisher(progress: TopicProgress, tracked: Tracked, isLast: boolean): Trigger['finish'] {
    return (outcome) => {
      progress.finish(tracked);
      if (isLast) this.#tell(outcome, 1);
    };
  }

  /** The offset moves past an unreadable message only once its dead letter is durable. */
  async #keep(unreadable: readonly Unreadable[]): Promise<void> {
    await this.#deps.deadLetters.add(unreadable.map(({ letter }) => letter));
    for (const { letter, settle } of unreadable) {
      settle();
      this.#deps.onUnreadable(letter);
    }
  }

  #letter(message: ReceivedMessage, problem: string): DeadLetter {
    const { topic, partition, offset } = message;
    return {
      id: `${topic}-${partition}-${offset}`,
      userId: null,
      pageViewId: null,
      reason: `the message cannot be read: ${problem}`,
      status: null,
      code: null,
      time: new Date(this.#deps.clock.epochMs()).toISOString(),
      source: { topic, partition, offset },
    };
  }
}

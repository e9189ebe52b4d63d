import { readPlace } from '../database/log-place.ts';
import type { TopicFormat } from '../settings/types.ts';
import type { DeadLetter, DeadLetterStore, ReceivedMessage } from '../topics/port.ts';
import type { ChangedRow } from './looks.ts';
import type { Engine, LookOutcome, WorkItem } from './engine.ts';
import { readMessage, type Request } from './read-message.ts';
import { TopicProgress, type Tracked } from './topic-progress.ts';

export interface IntakeDeps {
  engine: Engine;
  format: TopicFormat;
  /** The topic that is written in `format`; the others are in our own form. */
  pageViewsTopic: string;
  /** Pages that the rule asks for. */
  pages: readonly string[];
  deadLetters: Pick<DeadLetterStore, 'add'>;
  onOutcome: (outcome: LookOutcome) => void;
  onUnreadable: (letter: DeadLetter) => void;
  now: () => number;
  nowEpoch: () => number;
}

const isPlain = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

/**
 * Whether a view of this page can change the rule's answer. MySQL compares text without regard to
 * case, accents or trailing spaces, so whatever is not plain ASCII, on either side, is looked at.
 */
function concernsRule(page: string | null, pages: ReadonlySet<string> | null): boolean {
  if (page === null) return false;
  return pages === null || !isPlain(page) || pages.has(page.trimEnd().toLowerCase());
}

/** The row that a change of our own form is about, where that can tell whether it is visible. */
function changedRow(
  { userId, isChange }: Request,
  { headers }: ReceivedMessage,
): ChangedRow | null {
  if (!isChange || headers['log_position'] === undefined) return null;
  const view = headers['page_view_id'];
  if (view === undefined) return { table: 'customers', id: userId };
  return /^\d{1,20}$/.test(view) ? { table: 'page_views', id: view } : null;
}

interface Unreadable {
  letter: DeadLetter;
  settle: () => void;
}

/** Turns messages into work for the engine, and keeps count of how far they are finished. */
export class Intake {
  readonly #deps: IntakeDeps;
  /** null where any page may be one of the rule's. */
  readonly #pages: ReadonlySet<string> | null;
  #progress = new TopicProgress();

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
    this.#pages = deps.pages.every(isPlain)
      ? new Set(deps.pages.map((page) => page.trimEnd().toLowerCase()))
      : null;
  }

  get progress(): TopicProgress {
    return this.#progress;
  }

  /** After a rebalance: what was received before is void. */
  reset(): void {
    this.#progress = new TopicProgress();
    this.#deps.engine.reset();
  }

  /** Takes messages in and resolves when there is room for more. */
  async accept(messages: readonly ReceivedMessage[]): Promise<void> {
    const items: WorkItem[] = [];
    const letters: Unreadable[] = [];
    for (const message of messages) this.#take(message, items, letters);
    this.#deps.engine.accept(items);
    if (letters.length > 0) await this.#keep(letters);
    await this.#deps.engine.room();
  }

  #take(message: ReceivedMessage, items: WorkItem[], letters: Unreadable[]): void {
    const { topic, partition, offset } = message;
    const format = topic === this.#deps.pageViewsTopic ? this.#deps.format : 'page_view';
    const reading = readMessage(message, format);
    const progress = this.#progress;
    if (reading.kind === 'requests') {
      const last = reading.requests.length - 1;
      reading.requests.forEach((request, i) => {
        // A message is finished when its last request is, and all before it.
        const isLast = i === last;
        const tracked = progress.add(topic, partition, isLast ? offset + 1 : offset);
        const finish = this.#finisher(progress, tracked, isLast);
        if (request.view !== null && !concernsRule(request.view.page, this.#pages)) {
          finish('ineligible');
        } else items.push(this.#item(request, message, finish));
      });
      return;
    }
    const tracked = progress.add(topic, partition, offset + 1);
    if (reading.kind === 'nothing') return progress.finish(tracked);
    const settle = (): void => {
      progress.finish(tracked);
      this.#deps.onOutcome('refused');
    };
    letters.push({ letter: this.#letter(message, reading.problem), settle });
  }

  /** A closure of its own: one made where the message is would keep the whole message. */
  #finisher(progress: TopicProgress, tracked: Tracked, isLast: boolean): WorkItem['finish'] {
    return (outcome) => {
      progress.finish(tracked);
      if (isLast) this.#deps.onOutcome(outcome);
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

  #item(
    request: Request,
    message: ReceivedMessage,
    finish: (outcome: LookOutcome) => void,
  ): WorkItem {
    return {
      userId: request.userId,
      viewId: request.view?.id ?? null,
      isChange: request.isChange,
      gtid: request.gtid ?? message.headers['position'] ?? null,
      log: readPlace(message.headers['log_position']),
      row: changedRow(request, message),
      source: { topic: message.topic, partition: message.partition, offset: message.offset },
      committedAtMs: message.timestampMs,
      seenAtMs: this.#deps.now(),
      finish,
    };
  }

  #letter(message: ReceivedMessage, problem: string): DeadLetter {
    const { topic, partition, offset } = message;
    return {
      id: `${topic}-${partition}-${offset}`,
      userId: null,
      pageViewId: null,
      reason: `the message can not be read: ${problem}`,
      status: null,
      code: null,
      time: new Date(this.#deps.nowEpoch()).toISOString(),
      source: { topic, partition, offset },
    };
  }
}

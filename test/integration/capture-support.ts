import { pino } from 'pino';
import {
  type CaptureDependencies,
  type CaptureStatus,
  runCapture,
} from '../../src/capture/capture.ts';
import { systemClock } from '../../src/model/clock.ts';
import { Outages } from '../../src/observe/outages.ts';
import type { DatabaseSettings } from '../../src/settings/types.ts';
import { MysqlSource } from '../../src/source/mysql/source.ts';
import { MessageList } from '../../src/topics/message-list.ts';
import type {
  OutgoingBatch,
  OutgoingMessage,
  Publisher,
  TopicNames,
} from '../../src/topics/port.ts';
import { listed } from '../support/listed.ts';

export const NAMES: TopicNames = {
  pageViews: 'page_views',
  userChanges: 'page_views.user_changes',
  deadLetters: 'page_views.dead_letters',
  checkpoints: 'page_views.checkpoints',
};

/** Keeps what is published; durable as long as the test runs. */
export class MemoryPublisher implements Publisher {
  readonly messages: OutgoingMessage[] = [];
  readonly checkpoints = new Map<string, string>();
  readonly #views = new WeakMap<OutgoingMessage, Record<string, unknown>>();
  /** Awaited before each batch counts as published. */
  delay: () => Promise<void> = () => Promise.resolve();

  batch(): OutgoingBatch {
    return new MessageList();
  }

  async publish(
    messages: OutgoingBatch | readonly OutgoingMessage[],
    checkpoint?: { source: string; value: string },
    signal?: AbortSignal,
  ): Promise<void> {
    await this.delay();
    signal?.throwIfAborted();
    for (const message of listed(messages)) this.messages.push(message);
    if (checkpoint !== undefined) this.checkpoints.set(checkpoint.source, checkpoint.value);
  }

  loadCheckpoint(source: string): Promise<string | null> {
    return Promise.resolve(this.checkpoints.get(source) ?? null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  of(topic: string): OutgoingMessage[] {
    return this.messages.filter((message) => message.topic === topic);
  }

  /** Asked for again and again while more is waited for: each is read once. */
  get views(): Record<string, unknown>[] {
    return this.of(NAMES.pageViews).map((message) => {
      const known = this.#views.get(message);
      if (known !== undefined) return known;
      const view = JSON.parse(message.value) as Record<string, unknown>;
      this.#views.set(message, view);
      return view;
    });
  }

  get changes(): string[] {
    return this.of(NAMES.userChanges).map(({ value }) => value);
  }

  get checkpoint(): Record<string, unknown> | null {
    const [text] = this.checkpoints.values();
    return text === undefined ? null : (JSON.parse(text) as Record<string, unknown>);
  }
}

export interface RunningCapture extends AsyncDisposable {
  /** Settles as runCapture does. */
  done: Promise<void>;
  status: () => CaptureStatus;
  /** Every warning that was logged. */
  warnings: string[];
  reaches: (state: CaptureStatus['state']) => Promise<void>;
  /** Until the log is read: it begins with a position, which is saved. */
  reads: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Runs a capture until it is disposed of (or until it ends by itself). */
export function startCapture(
  db: DatabaseSettings,
  publisher: Publisher,
  { auditIntervalMs, ...more }: Partial<CaptureDependencies> & { auditIntervalMs?: number } = {},
): RunningCapture {
  const stopping = new AbortController();
  const warnings: string[] = [];
  const logger = pino(
    { level: 'warn' },
    { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) },
  );
  let status: CaptureStatus | null = null;
  let saves = 0;
  /** Those that came before it streamed. */
  let savesBefore = Number.POSITIVE_INFINITY;
  const counting: Publisher = {
    batch: () => publisher.batch(),
    publish: async (messages, checkpoint, signal) => {
      await publisher.publish(messages, checkpoint, signal);
      if (checkpoint !== undefined) saves += 1;
    },
    loadCheckpoint: (source) => publisher.loadCheckpoint(source),
    [Symbol.asyncDispose]: () => publisher[Symbol.asyncDispose](),
  };
  const done = runCapture({
    source: new MysqlSource({
      db,
      clock: systemClock,
      say: {
        warn: (sentence) => logger.warn(`capture: ${sentence}`),
        debug: () => undefined,
      },
      ...(auditIntervalMs === undefined ? {} : { auditIntervalMs }),
    }),
    publisher: counting,
    names: NAMES,
    startFrom: 'now',
    eligibleUserIds: async function* () {
      yield await Promise.resolve([]);
    },
    logger,
    outages: new Outages(logger),
    topicsPart: 'topics file',
    clock: systemClock,
    signal: stopping.signal,
    onStatus: (now) => {
      status = now;
      savesBefore = now.state === 'streaming' ? saves : Number.POSITIVE_INFINITY;
    },
    ...more,
  });
  done.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await done;
  };
  return {
    done,
    warnings,
    stop,
    status: () => {
      if (status === null) throw new Error('no status yet');
      return status;
    },
    reaches: (state) => until(() => status?.state === state, `the state ${state}`, done),
    reads: () => until(() => saves > savesBefore, 'the beginning of the log', done),
    [Symbol.asyncDispose]: () => stop().catch(() => undefined),
  };
}

/** Waits for something to become true; fails when it does not, or when `unless` rejects first. */
export async function until(
  isTrue: () => boolean,
  what: string,
  unless: Promise<unknown> = new Promise(() => undefined),
  waitMsMax = 40_000,
): Promise<void> {
  const endMs = performance.now() + waitMsMax;
  const failed = new Promise<never>((_, reject) => {
    unless.catch(reject);
  });
  // It may reject later, when nobody waits here any more.
  failed.catch(() => undefined);
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`waited ${waitMsMax} ms in vain for ${what}`);
    await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 5))]);
  }
}

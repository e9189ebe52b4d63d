import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TopicSettings } from '../../src/settings/types.ts';
import { systemClock } from '../../src/model/clock.ts';
import { MemoryBroker } from '../../src/topics/memory/broker.ts';
import { MemoryTopics } from '../../src/topics/memory/topics.ts';
import { openTopics } from '../../src/topics/open.ts';
import type {
  Assignment,
  DeadLetter,
  GroupMember,
  MemberHandlers,
  OutgoingMessage,
  ReceivedMessage,
  TopicOffset,
  Topics,
} from '../../src/topics/port.ts';
import { SEED } from './extent.ts';
import { freshTopicPrefix, injectServices } from './services.ts';
import { randomFrom } from './workload.ts';

const logger = pino({ level: 'silent' });

/** The three implementations of the port. */
export type TopicsKind = 'embedded' | 'Kafka' | 'memory';

/** One for all memory topics of a test file, as one Kafka is for the others. */
export const memoryBroker = new MemoryBroker({ clock: systemClock, random: randomFrom(SEED) });
const memoryTopics = new Set<string>();

export function settingsFor(kind: TopicsKind): TopicSettings {
  const brokers = injectServices().kafkaBrokers;
  const kafka = { brokers, clientId: 'test', ssl: false, sasl: null };
  const topic = freshTopicPrefix();
  if (kind === 'memory') memoryTopics.add(topic);
  return {
    kafka: kind === 'Kafka' ? kafka : null,
    topic,
    partitions: 6,
    stateDir: mkdtempSync(join(tmpdir(), 'topics-')),
  };
}

/** As the settings say. Missing topics are not made. */
export async function connect(settings: TopicSettings): Promise<Topics> {
  const { topic, partitions } = settings;
  if (!memoryTopics.has(topic)) return await openTopics(settings, logger);
  return new MemoryTopics(memoryBroker, { topic, partitions, client: 'test' });
}

export async function open(settings: TopicSettings): Promise<Topics> {
  const topics = await connect(settings);
  await topics.ensureTopics();
  return topics;
}

export function message(
  topic: string,
  key: number,
  value: string,
  timestampMs = Date.now(),
): OutgoingMessage {
  return { topic, key: String(key), value, timestampMs, headers: { schema: 'test/1' } };
}

/** A member that remembers what it was given. */
export class Reader implements MemberHandlers {
  readonly received: ReceivedMessage[] = [];
  readonly assignments: Assignment[] = [];
  readonly lost: TopicOffset[] = [];
  readonly marked: TopicOffset[] = [];
  gate: Promise<void> = Promise.resolve();
  member: GroupMember | null = null;

  onAssigned(assignment: Assignment): void {
    this.assignments.push(assignment);
    this.received.length = 0;
  }

  onRebalancing(): void {}

  async onMessages(messages: readonly ReceivedMessage[]): Promise<void> {
    this.received.push(...messages);
    await this.gate;
  }

  onLost(begins: readonly TopicOffset[]): void {
    this.lost.push(...begins);
  }

  onOtherMark(places: readonly TopicOffset[]): void {
    this.marked.push(...places);
  }

  async join(topics: Topics, group: string, mark?: string): Promise<this> {
    const { pageViews, userChanges } = topics.names;
    this.member = await topics.join(group, [pageViews, userChanges], this, mark);
    return this;
  }

  values(): string[] {
    return this.received.map(({ value }) => value ?? '');
  }

  async leave(): Promise<void> {
    await this.member?.[Symbol.asyncDispose]();
  }
}

/** Takes everything in and commits it; what was received counts from all its assignments. */
export class Committer extends Reader {
  readonly ever: { key: string | null; value: string | null }[] = [];

  override async onMessages(messages: Parameters<Reader['onMessages']>[0]): Promise<void> {
    this.ever.push(...messages);
    await super.onMessages(messages);
    const last = messages.at(-1)!;
    await this.member
      ?.commit([{ topic: last.topic, partition: last.partition, offset: last.offset + 1 }])
      .catch(() => undefined); // As delivery does: the next commit holds it.
  }
}

export async function readAll(
  topics: Topics,
  ranges: Parameters<Topics['read']>[0],
): Promise<ReceivedMessage[]> {
  const all: ReceivedMessage[] = [];
  for await (const batch of topics.read(ranges, new AbortController().signal)) all.push(...batch);
  return all;
}

/** All dead letters, in the order they were written. */
export async function lettersOf({ deadLetters }: Topics): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  for await (const kept of deadLetters.list()) all.push(...kept.map((one) => one.letter));
  return all;
}

export const letter = (id: string, time: string, reason = 'refused'): DeadLetter => ({
  id,
  userId: '7',
  pageViewId: '1',
  reason,
  status: 400,
  code: 'BadParams',
  time,
});

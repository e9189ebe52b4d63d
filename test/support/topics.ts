import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TopicSettings } from '../../src/settings/types.ts';
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
import { freshTopicPrefix, injectServices } from './services.ts';

const logger = pino({ level: 'silent' });

export function settingsFor(kind: 'embedded' | 'Kafka'): TopicSettings {
  const brokers = injectServices().kafkaBrokers;
  const kafka = { brokers, clientId: 'test', ssl: false, sasl: null };
  return {
    kafka: kind === 'Kafka' ? kafka : null,
    topic: freshTopicPrefix(),
    partitions: 6,
    stateDir: mkdtempSync(join(tmpdir(), 'topics-')),
  };
}

export async function open(settings: TopicSettings): Promise<Topics> {
  const topics = await openTopics(settings, logger);
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

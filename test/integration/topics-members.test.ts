import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TopicSettings } from '../../src/settings/types.ts';
import { adminOf } from '../support/kafka-admin.ts';
import { publishing } from '../support/numbered.ts';
import { until } from '../support/program.ts';
import { freshTopicPrefix } from '../support/services.ts';
import { withSlack } from '../support/slack.ts';
import {
  Committer,
  Reader,
  type TopicsKind,
  connect,
  memoryBroker,
  message,
  open,
  settingsFor,
} from '../support/topics.ts';

const PARTITIONS = 12;

const shareOf = ({ assignments }: Reader): number | undefined => assignments.at(-1)?.share;

async function addPartitions(
  kind: TopicsKind,
  settings: TopicSettings,
  topics: readonly string[],
): Promise<void> {
  if (kind === 'memory') {
    for (const topic of topics) memoryBroker.addPartitions(topic, PARTITIONS);
    return;
  }
  const admin = await adminOf(settings);
  await admin.createPartitions({
    topicPartitions: topics.map((topic) => ({ topic, count: PARTITIONS })),
  });
  await admin.disconnect();
}

describe.each(['Kafka', 'memory'] as const)('members of a group on %s topics', (kind) => {
  it('lose nothing while one joins and one leaves in mid-stream', async () => {
    const settings = settingsFor(kind);
    const group = freshTopicPrefix();
    await using topics = await open(settings);
    await using other = await open(settings);
    const first = await new Committer().join(topics, group);
    const writer = publishing(topics, 5, 5);
    await until('some are read', () => Promise.resolve(first.ever.length > 20));
    const second = await new Committer().join(other, group);
    await until('they share', () =>
      Promise.resolve(shareOf(first) === 0.5 && shareOf(second) === 0.5),
    );
    await until('the second reads', () => Promise.resolve(second.ever.length > 20));
    await first.leave();
    await until('the second has all', () => Promise.resolve(shareOf(second) === 1));
    const count = await writer.stop();
    const seen = () => new Set([...first.ever, ...second.ever].map(({ value }) => Number(value)));
    await until('everything is read', () => Promise.resolve(seen().size === count));
    await second.leave();
  });

  it('let another in soon, also while they wait for room with much fetched', async () => {
    const settings = settingsFor(kind);
    const group = freshTopicPrefix();
    await using topics = await open(settings);
    await using publisher = await topics.publisher();
    const { pageViews, userChanges } = topics.names;
    for (const topic of [pageViews, userChanges]) {
      await publisher.publish(Array.from({ length: 60 }, (_, i) => message(topic, i, `${i}`)));
    }
    const first = new Reader();
    const gate = Promise.withResolvers<void>();
    first.gate = gate.promise;
    await first.join(topics, group);
    await until('one batch is held', () => Promise.resolve(first.received.length > 0));
    await sleep(1_000);
    const beganMs = performance.now();
    const second = await new Reader().join(topics, group);
    await until('they share', () =>
      Promise.resolve(shareOf(first) === 0.5 && shareOf(second) === 0.5),
    );
    expect(performance.now() - beganMs).toBeLessThan(withSlack(4_000));
    gate.resolve();
    await until('all of it comes again', () =>
      Promise.resolve(first.received.length + second.received.length === 120),
    );
    await first.leave();
    await second.leave();
  });

  // Guards whenLed() in KafkaMember.start: a broker may not know yet of topics that were just made.
  it('wait for topics that are known a little later', async () => {
    const settings = settingsFor(kind);
    const topics = await connect(settings);
    const reader = new Reader();
    const joined = reader.join(topics, freshTopicPrefix());
    const early = await Promise.race([joined.then(() => 'joined'), sleep(1_000)]);
    expect(early).toBeUndefined();
    await topics.ensureTopics();
    await joined;
    await until('it has all', () => Promise.resolve(shareOf(reader) === 1));
    await reader.leave();
    await topics[Symbol.asyncDispose]();
  });

  // Guards #partitionsInAll in member.ts: counted once at the start, each would take it all.
  it('share one limit, also when partitions were added meanwhile', async () => {
    const settings = settingsFor(kind);
    const group = freshTopicPrefix();
    await using topics = await open(settings);
    const { pageViews, userChanges } = topics.names;
    const first = await new Reader().join(topics, group);
    await until('it has all', () => Promise.resolve(shareOf(first) === 1));
    await addPartitions(kind, settings, [pageViews, userChanges]);
    const second = await new Reader().join(topics, group);
    const shared = () => [first, second].flatMap((one) => one.assignments.at(-1)?.partitions ?? []);
    // The one that gives them out may learn of the new ones only when it asks again.
    await until('they share all of them', () =>
      Promise.resolve(shareOf(first) === 0.5 && shareOf(second) === 0.5 && shared().length === 24),
    );
    await first.leave();
    await second.leave();
  });

  it('cannot commit what they have lost', async () => {
    const settings = settingsFor(kind);
    const group = freshTopicPrefix();
    await using topics = await open(settings);
    const first = await new Reader().join(topics, group);
    await until('it has all', () => Promise.resolve(shareOf(first) === 1));
    const second = await new Reader().join(topics, group);
    await until('they share', () =>
      Promise.resolve(shareOf(first) === 0.5 && shareOf(second) === 0.5),
    );
    await using publisher = await topics.publisher();
    const { pageViews } = topics.names;
    await publisher.publish(Array.from({ length: 60 }, (_, i) => message(pageViews, i, `${i}`)));
    await until('all are read', () =>
      Promise.resolve(first.received.length + second.received.length === 60),
    );
    const ends = (await topics.bounds([pageViews])).map((at) => ({ ...at, offset: at.end }));
    const inAll = ends.reduce((sum, { end }) => sum + end, 0);
    await first.member!.commit(ends);
    // The lag may be a second old.
    const left = inAll - first.received.length;
    await until(
      'only what the first owns is committed',
      async () => (await second.member!.lag()).get(pageViews) === left,
    );
    await first.leave();
    await second.leave();
  });
});

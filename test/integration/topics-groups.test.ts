import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TopicSettings } from '../../src/settings/types.ts';
import type { Topics } from '../../src/topics/port.ts';
import { adminOf } from '../support/kafka-admin.ts';
import { until } from '../support/program.ts';
import { freshTopicPrefix } from '../support/services.ts';
import {
  Reader,
  type TopicsKind,
  memoryBroker,
  message,
  open,
  settingsFor,
} from '../support/topics.ts';

/** Deletes the topic and makes it again, empty. */
async function makeAnew(kind: TopicsKind, settings: TopicSettings, topics: Topics): Promise<void> {
  const { pageViews } = topics.names;
  if (kind === 'memory') return memoryBroker.makeAnew(pageViews);
  const admin = await adminOf(settings);
  await admin.deleteTopics({ topics: [pageViews] });
  await until('it is gone', async () => !(await admin.listTopics()).includes(pageViews));
  await admin.disconnect();
  await topics.ensureTopics();
}

/** Takes everything in and commits it. */
class Committer extends Reader {
  override async onMessages(messages: Parameters<Reader['onMessages']>[0]): Promise<void> {
    await super.onMessages(messages);
    const { topic, partition, offset } = messages.at(-1)!;
    await this.member?.commit([{ topic, partition, offset: offset + 1 }]);
  }
}

const KINDS = ['Kafka', 'memory'] as const;

describe.concurrent.each(KINDS)('a group on %s topics that two projects share', (kind) => {
  it('gives each all of its own messages, whoever leads, and the rate of its own share', async () => {
    const group = freshTopicPrefix();
    await using one = await open(settingsFor(kind));
    await using other = await open({ ...settingsFor(kind), partitions: 4 });
    const readers = [await new Reader().join(one, group), await new Reader().join(other, group)];
    const third = await new Reader().join(other, group);
    const shares = (): (number | undefined)[] =>
      [...readers, third].map(({ assignments }) => assignments.at(-1)?.share);
    await until('all are assigned', () => Promise.resolve(shares().join(' ') === '1 0.5 0.5'));
    for (const topics of [one, other]) {
      await using publisher = await topics.publisher();
      const { pageViews, userChanges } = topics.names;
      await publisher.publish(
        Array.from({ length: 40 }, (_, i) => [
          message(pageViews, i, `${i}`),
          message(userChanges, i, `${i}`),
        ]).flat(),
      );
    }
    const [first, second] = readers;
    await until('all is there', () =>
      Promise.resolve(
        first!.received.length === 80 && second!.received.length + third.received.length === 80,
      ),
    );
    // The leader goes: another one, of either project, gives out the partitions.
    await first!.leave();
    await until('the others go on', () =>
      Promise.resolve(shares().slice(1).join(' ') === '0.5 0.5'),
    );
    for (const reader of [second!, third]) await reader.leave();
    expect(first!.assignments.at(-1)?.partitions).toHaveLength(12);
    expect(second!.assignments.at(-1)?.partitions).toHaveLength(4);
  });
});

describe.concurrent.each(KINDS)('a group on %s topics, one of which was', (kind) => {
  it.each(['cut while it reads', 'made anew while it was away'])(
    '%s learns of the loss, once',
    async (how) => {
      const settings = settingsFor(kind);
      await using topics = await open(settings);
      await using publisher = await topics.publisher();
      const { pageViews, userChanges } = topics.names;
      const group = freshTopicPrefix();
      const publish = (count: number): Promise<void> =>
        publisher.publish(
          Array.from({ length: count }, (_, i) => [
            message(pageViews, 1, `${i}`),
            message(userChanges, 1, `${i}`),
          ]).flat(),
        );
      const reader = await new Committer().join(topics, group);
      await publish(20);
      await until('all is read and saved', async () =>
        [...(await reader.member!.lag()).values()].every(
          (lag) => lag === 0 && reader.received.length === 40,
        ),
      );
      if (how !== 'cut while it reads') await reader.leave();
      await makeAnew(kind, settings, topics);
      await publish(3);
      const again =
        how === 'cut while it reads' ? reader : await new Committer().join(topics, group);
      await until('it has learnt of it', () =>
        Promise.resolve(again.lost.some(({ topic }) => topic === pageViews)),
      );
      await until('it reads on', () =>
        Promise.resolve(again.received.filter(({ topic }) => topic === pageViews).length >= 3),
      );
      expect(again.lost.every(({ topic }) => topic === pageViews)).toBe(true);
      // Longer than two looks at the ends, which would tell of it a second time.
      await sleep(3_000);
      await again.member!.commit(again.lost);
      await again.leave();
      const next = await new Committer().join(topics, group);
      await until('the next begins', () => Promise.resolve(next.received.length > 0));
      await sleep(2_500);
      expect(next.lost).toEqual([]);
      await next.leave();
    },
  );
});

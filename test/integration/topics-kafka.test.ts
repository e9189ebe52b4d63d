import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Admin, ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import type { TopicSettings } from '../../src/settings/types.ts';
import { openTopics } from '../../src/topics/open.ts';
import type { Topics } from '../../src/topics/port.ts';
import { until } from '../support/program.ts';
import { freshTopicPrefix, startOwnKafka } from '../support/services.ts';
import { Reader, message, open, readAll, settingsFor } from '../support/topics.ts';
import { withSlack } from '../support/slack.ts';

const settingsOf = (brokers: readonly string[]): TopicSettings => ({
  ...settingsFor('Kafka'),
  kafka: { brokers, clientId: 'test', ssl: false, sasl: null },
});

/** The distinct values of each key in the order of their first appearance. */
function firstSeen(messages: readonly { key: string | null; value: string | null }[]) {
  const keys = new Map<string, Set<number>>();
  for (const { key, value } of messages) {
    const seen = keys.get(key ?? '') ?? new Set<number>();
    keys.set(key ?? '', seen.add(Number(value)));
  }
  return [...keys.values()].map((seen) => [...seen]);
}

/** Publishes 0, 1, 2 …, a few at a time, until told to stop; what is counted was acknowledged. */
function publishing(topics: Topics) {
  const state = { acknowledged: 0, isStopped: false };
  const done = (async () => {
    await using publisher = await topics.publisher();
    while (!state.isStopped) {
      const from = state.acknowledged;
      await publisher.publish(
        Array.from({ length: 5 }, (_, i) =>
          message(topics.names.pageViews, (from + i) % 20, `${from + i}`),
        ),
        { source: 'a', value: `${from + 5}` },
      );
      state.acknowledged += 5;
      await sleep(5);
    }
  })();
  const stop = async (): Promise<number> => {
    state.isStopped = true;
    await done;
    return state.acknowledged;
  };
  return { state, stop };
}

/** Takes everything in and commits it; what was received counts from all its assignments. */
class Committer extends Reader {
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

async function adminOf({ kafka }: TopicSettings): Promise<Admin> {
  const brokers = [...kafka!.brokers];
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  return admin;
}

const shareOf = ({ assignments }: Reader): number | undefined => assignments.at(-1)?.share;

describe.concurrent('a Kafka that is killed and comes back', () => {
  it('has everything once acknowledged, in the order of each key, and its readers go on', async () => {
    await using kafka = await startOwnKafka();
    await using topics = await open(settingsOf(kafka.brokers));
    const reader = await new Committer().join(topics, 'g');
    const held = new Reader();
    const gate = Promise.withResolvers<void>();
    held.gate = gate.promise;
    const writer = publishing(topics);
    await until('some are read', () => Promise.resolve(reader.ever.length > 50));
    await held.join(topics, 'held');
    await until('one is held', () => Promise.resolve(held.received.length > 0));
    await kafka.kill();
    const before = writer.state.acknowledged;
    await sleep(2_000);
    expect(writer.state.acknowledged - before).toBeLessThanOrEqual(5);
    await kafka.restart();
    await until('more are acknowledged', () =>
      Promise.resolve(writer.state.acknowledged > before + 100),
    );
    const count = await writer.stop();
    const all = await readAll(topics, await topics.bounds([topics.names.pageViews]));
    const perKey = Array.from({ length: 20 }, (_, key) =>
      Array.from({ length: Math.ceil((count - key) / 20) }, (__, i) => i * 20 + key),
    );
    const sorted = (lists: number[][]) => lists.toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
    expect(sorted(firstSeen(all))).toEqual(perKey);
    await until('the reader has all', () =>
      Promise.resolve(firstSeen(reader.ever).flat().length >= count),
    );
    expect(sorted(firstSeen(reader.ever))).toEqual(perKey);
    gate.resolve();
    await until('the held one has all', () =>
      Promise.resolve(firstSeen(held.received).flat().length >= count),
    );
    // Within one assignment nothing is handed over twice, also where the connection broke meanwhile.
    const ids = held.received.map(({ partition, offset }) => `${partition}:${offset}`);
    expect(new Set(ids).size).toBe(ids.length);
    await using publisher = await topics.publisher();
    expect(await publisher.loadCheckpoint('a')).toBe(`${count}`);
    await reader.leave();
    await held.leave();
  }, 90_000);

  it('is not waited for when a publisher is told to stop, or closed', async () => {
    await using kafka = await startOwnKafka();
    await using topics = await open(settingsOf(kafka.brokers));
    const publisher = await topics.publisher();
    const one = () => [message(topics.names.pageViews, 1, 'x')];
    await publisher.publish(one(), { source: 'a', value: '1' });
    await kafka.kill();
    const stop = new AbortController();
    const publish = publisher.publish(one(), undefined, stop.signal);
    setTimeout(() => stop.abort(), 1_000);
    const beganMs = performance.now();
    await expect(publish).rejects.toThrow(/aborted/);
    expect(performance.now() - beganMs).toBeLessThan(withSlack(3_000));
    const endless = publisher.publish(one());
    await Promise.all([
      expect(endless).rejects.toThrow(/aborted/),
      sleep(200).then(() => publisher[Symbol.asyncDispose]()),
    ]);
    expect(performance.now() - beganMs).toBeLessThan(withSlack(9_000));
  });
});

describe.concurrent('a Kafka that does not answer', () => {
  it('is said to be out of reach within 20 s, also where something takes the connection', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    const beganMs = performance.now();
    await using topics = await openTopics(
      settingsOf([`127.0.0.1:${port}`]),
      pino({ level: 'silent' }),
    );
    const made = topics.ensureTopics();
    await expect(made).rejects.toThrow(UnavailableError);
    await expect(made).rejects.toThrow(/can not be reached/);
    expect(performance.now() - beganMs).toBeLessThan(withSlack(20_000));
    silent.close();
  }, 40_000);
});

describe.concurrent('a message larger than the topic takes', () => {
  it('makes capture wait, saying which limit to raise, and go on when it is raised', async () => {
    const lines: { msg: string }[] = [];
    const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const settings = settingsFor('Kafka');
    await using topics = await openTopics(settings, logger);
    await topics.ensureTopics();
    await using publisher = await topics.publisher();
    const { pageViews } = topics.names;
    const sizes = [10, 2_000_000, 20];
    const done = publisher.publish(sizes.map((n) => message(pageViews, 7, 'x'.repeat(n))));
    await until('it says what to do', () =>
      Promise.resolve(
        lines.some(({ msg }) =>
          msg.includes(`Raise max.message.bytes of the topic ${pageViews} above the 2000000 bytes`),
        ),
      ),
    );
    const admin = await adminOf(settings);
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: ConfigResourceTypes.TOPIC,
          name: pageViews,
          configEntries: [{ name: 'max.message.bytes', value: '3000000' }],
        },
      ],
    });
    await admin.disconnect();
    await done;
    const all = await readAll(topics, await topics.bounds([pageViews]));
    expect(all.map(({ value }) => value?.length)).toEqual(sizes);
  });
});

describe('members of a Kafka group', () => {
  it('lose nothing while one joins and one leaves in mid-stream', async () => {
    const settings = settingsFor('Kafka');
    const group = freshTopicPrefix();
    await using topics = await open(settings);
    await using other = await open(settings);
    const first = await new Committer().join(topics, group);
    const writer = publishing(topics);
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
    const settings = settingsFor('Kafka');
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
    const settings = settingsFor('Kafka');
    const topics = await openTopics(settings, pino({ level: 'silent' }));
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
    const settings = settingsFor('Kafka');
    const group = freshTopicPrefix();
    await using topics = await open(settings);
    const { pageViews, userChanges } = topics.names;
    const first = await new Reader().join(topics, group);
    await until('it has all', () => Promise.resolve(shareOf(first) === 1));
    const admin = await adminOf(settings);
    await admin.createPartitions({
      topicPartitions: [pageViews, userChanges].map((topic) => ({ topic, count: 12 })),
    });
    await admin.disconnect();
    const second = await new Reader().join(topics, group);
    const shared = () => [first, second].flatMap((one) => one.assignments.at(-1)?.partitions ?? []);
    // The one that gives them out may learn of the new ones only when it asks again.
    await until('they share all of them', () =>
      Promise.resolve(shareOf(first) === 0.5 && shareOf(second) === 0.5 && shared().length === 24),
    );
    await first.leave();
    await second.leave();
  });

  it('can not commit what they have lost', async () => {
    const settings = settingsFor('Kafka');
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

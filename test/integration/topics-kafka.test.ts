import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigResourceTypes } from 'kafkajs';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import type { TopicSettings } from '../../src/settings/types.ts';
import { openTopics } from '../../src/topics/open.ts';
import type { Topics } from '../../src/topics/port.ts';
import { adminOf } from '../support/kafka-admin.ts';
import { until } from '../support/program.ts';
import { startOwnKafka } from '../support/services.ts';
import { Committer, Reader, message, open, readAll, settingsFor } from '../support/topics.ts';
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
    await expect(made).rejects.toThrow(/cannot be reached/);
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

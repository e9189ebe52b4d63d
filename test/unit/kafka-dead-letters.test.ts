import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KafkaDeadLetters } from '../../src/topics/kafka/dead-letters.ts';
import { LetterIndex, REMOVES } from '../../src/topics/kafka/letter-index.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';
import { Wire } from '../../src/topics/kafka/wire/wire.ts';
import { StandInBrokers } from '../support/stand-in-brokers.ts';
import { letter } from '../support/topics.ts';

/** What brokers take in a batch unless told otherwise (message.max.bytes). */
const BATCH_BYTES_MAX = 1_048_588;

const storeOn = (brokers: StandInBrokers): KafkaDeadLetters =>
  new KafkaDeadLetters({
    wire: new Wire(brokers, kafkajsInside()),
    topic: 'dead',
    closing: new AbortController().signal,
    description: 'Kafka',
    explain: (error) => error as Error,
  });

describe('dead letters in Kafka', () => {
  it('go in batches that brokers take, however many there are', async () => {
    const brokers = new StandInBrokers([1]);
    brokers.batchBytesMax = BATCH_BYTES_MAX;
    const reason = `the message cannot be read: ${'x'.repeat(300)}`;
    await storeOn(brokers).add(
      Array.from({ length: 20_000 }, (_, i) =>
        letter(`page_views-0-${i}`, new Date(0).toISOString(), reason),
      ),
    );
    expect(brokers.log).toHaveLength(20_000);
    expect(brokers.requests).toBeLessThan(30);
  }, 60_000);

  it('are refused, with why, where no broker takes them', async () => {
    const brokers = new StandInBrokers([1]);
    brokers.batchBytesMax = 10;
    const added = storeOn(brokers).add([letter('a', new Date(0).toISOString())]);
    await expect(added).rejects.toThrow(/does not take dead letters \(.*larger/);
  }, 30_000);
});

type Event = { kind: 'write' | 'remove' | 'remove what was listed'; id: string };

/** Whoever lists remembers each letter's offset; removals may come long after, and late. */
const events = fc.array(
  fc.record({
    kind: fc.constantFrom<Event['kind']>('write', 'remove', 'remove what was listed'),
    id: fc.constantFrom('a', 'b', 'c'),
  }),
  { maxLength: 40 },
);

function received(offset: number, id: string, value: string | null, removes: number | null) {
  const headers: Record<string, string> = removes === null ? {} : { [REMOVES]: String(removes) };
  return { topic: 'dead', partition: 0, offset, key: id, value, timestampMs: 0, headers };
}

describe('the letters that are still there', () => {
  it('are those that nobody removed after they were read, whatever was written when', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: 0, max: 40 }), (all, listedAt) => {
        const index = new LetterIndex(0);
        const there = new Map<string, number>();
        let listed = new Map<string, number>();
        const hidden = new Set<string>();
        for (const [offset, { kind, id }] of all.entries()) {
          if (offset === listedAt) listed = new Map(there);
          if (kind === 'write') {
            index.take(received(offset, id, '{}', null));
            there.set(id, offset);
            hidden.delete(id);
          } else if (kind === 'remove') {
            index.take(received(offset, id, null, null));
            there.delete(id);
            hidden.delete(id);
          } else {
            const at = listed.get(id) ?? -1;
            index.take(received(offset, id, null, at));
            const now = there.get(id);
            if (now !== undefined && now <= at) there.delete(id);
            if (there.has(id)) hidden.add(id);
            else hidden.delete(id);
          }
        }
        expect(index.size).toBe(there.size);
        for (const id of ['a', 'b', 'c']) {
          const at = there.get(id);
          expect(index.isLast(received(at ?? 0, id, '{}', null))).toBe(at !== undefined);
          expect(index.hidden(id)).toBe(hidden.has(id) ? at : null);
        }
      }),
    );
  });
});

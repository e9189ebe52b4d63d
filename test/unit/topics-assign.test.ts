import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coAssign } from '../../src/topics/co-assign.ts';
import { decodeCounts, encodeCounts } from '../../src/topics/kafka/co-assigner.ts';
import { murmur2, partitionOf } from '../../src/topics/partitioner.ts';

const groups = fc.record({
  members: fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 }),
  topics: fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }),
  partitions: fc.integer({ min: 1, max: 40 }),
});

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const reading = (members: readonly string[], topics: readonly string[]) =>
  members.map((memberId) => ({ memberId, topics }));

describe('the partitions of a group', () => {
  it('each go to exactly one member', () => {
    fc.assert(
      fc.property(groups, ({ members, topics, partitions }) => {
        const shares = coAssign(
          reading(members, topics),
          new Map(topics.map((t) => [t, numbers(partitions)])),
        );
        expect([...shares.keys()].toSorted()).toEqual(members.toSorted());
        for (const topic of topics) {
          const given = [...shares.values()].flatMap((share) => share[topic] ?? []);
          expect(given.toSorted((a, b) => a - b)).toEqual(numbers(partitions));
        }
      }),
    );
  });

  it('of one number go to one member, also where one topic has more of them', () => {
    fc.assert(
      fc.property(groups, fc.integer({ min: 1, max: 40 }), ({ members, partitions }, more) => {
        const counts = new Map([
          ['a', numbers(partitions)],
          ['b', numbers(partitions + more)],
        ]);
        for (const share of coAssign(reading(members, ['a', 'b']), counts).values()) {
          const b = (share['b'] ?? []).filter((partition) => partition < partitions);
          expect(share['a']).toEqual(b);
        }
      }),
    );
  });

  it('are spread evenly, and the same for every order of the members', () => {
    fc.assert(
      fc.property(groups, ({ members, topics, partitions }) => {
        const all = new Map(topics.map((topic) => [topic, numbers(partitions)]));
        const shares = coAssign(reading(members, topics), all);
        const sizes = [...shares.values()].map((share) => Object.values(share).flat().length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(topics.length);
        expect(coAssign(reading(members.toReversed(), topics), all)).toEqual(shares);
      }),
    );
  });
});

describe('the partitions of a group that several projects share', () => {
  it('go to members that read their topic, and a project has all of its own', () => {
    fc.assert(
      fc.property(groups, fc.integer({ min: 1, max: 12 }), ({ members, partitions }, ours) => {
        const all = members.map((memberId, i) => ({
          memberId,
          topics: i < ours ? ['a', 'a.changes'] : ['b', 'b.changes'],
        }));
        const names = [...new Set(all.flatMap(({ topics }) => topics))];
        const shares = coAssign(all, new Map(names.map((name) => [name, numbers(partitions)])));
        for (const { memberId, topics } of all) {
          expect(Object.keys(shares.get(memberId) ?? {})).toEqual(topics);
          const [one = '', other = ''] = topics;
          expect(shares.get(memberId)?.[one]).toEqual(shares.get(memberId)?.[other]);
        }
        for (const name of names) {
          const given = [...shares.values()].flatMap((share) => share[name] ?? []);
          expect(given.toSorted((a, b) => a - b)).toEqual(numbers(partitions));
        }
      }),
    );
  });

  it('are told by each member, and nothing is taken from what is no such message', () => {
    const counts = new Map([
      ['a', 6],
      ['b', 12],
    ]);
    expect(decodeCounts(encodeCounts(counts))).toEqual(counts);
    for (const odd of ['', '7', 'null', '{"a":"x"}', '{"a":1.5}', '{']) {
      expect(decodeCounts(Buffer.from(odd)).size).toBe(0);
    }
    expect(decodeCounts(null).size).toBe(0);
  });
});

describe('the partition of a key', () => {
  // Kafka's own vectors: UtilsTest.testMurmur2 in org.apache.kafka.common.utils.
  const partitionFor = (key: string, partitions: number): number => {
    const bytes = Buffer.from(key);
    return partitionOf(bytes, bytes.length, partitions);
  };

  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('has the hash that Kafka gives %s', (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
    expect(partitionFor(key, 6)).toBe((hash & 0x7fffffff) % 6);
  });

  it('is always one of the partitions', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 1000 }), (key, n) => {
        const partition = partitionFor(key, n);
        expect(Number.isInteger(partition) && partition >= 0 && partition < n).toBe(true);
      }),
    );
  });
});

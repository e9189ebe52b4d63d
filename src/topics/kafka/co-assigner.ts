import { AssignerProtocol, type Cluster, type PartitionAssigner } from 'kafkajs';
import { coAssign } from '../co-assign.ts';

const CO_ASSIGNER_NAME = 'iterable-sync-co-partition';

type Counts = ReadonlyMap<string, number>;

/** A member tells how many partitions its topics have: whoever leads may not be allowed to ask. */
export function encodeCounts(counts: Counts): Buffer {
  return Buffer.from(JSON.stringify(Object.fromEntries(counts)));
}

/** None where a member tells nothing that is understood. */
export function decodeCounts(userData: Buffer | null): Counts {
  const counts = new Map<string, number>();
  let told: unknown;
  try {
    told = JSON.parse(userData?.toString() ?? '');
  } catch {
    return counts;
  }
  if (typeof told !== 'object' || told === null) return counts;
  for (const [topic, count] of Object.entries(told)) {
    if (Number.isInteger(count)) counts.set(topic, Number(count));
  }
  return counts;
}

function countsOf(cluster: Cluster, topics: readonly string[]): Counts {
  return new Map(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).length]));
}

/**
 * Keeps one user with one member: messages of both topics about a user have the same partition.
 * The leader's own topics are as its metadata says, which kafkajs reads anew before it assigns; the
 * others as their members said when they joined.
 */
export const coAssigner: PartitionAssigner = ({ cluster }) => ({
  name: CO_ASSIGNER_NAME,
  version: 0,
  assign({ members, topics }) {
    const counts = new Map<string, number>();
    const subscribers = members.map(({ memberId, memberMetadata }) => {
      const decoded = AssignerProtocol.MemberMetadata.decode(memberMetadata);
      for (const [topic, count] of decodeCounts(decoded?.userData ?? null)) {
        counts.set(topic, Math.max(count, counts.get(topic) ?? 0));
      }
      return { memberId, topics: decoded?.topics ?? [] };
    });
    for (const [topic, count] of countsOf(cluster, topics)) counts.set(topic, count);
    const partitions = new Map(
      [...counts].map(([topic, count]) => [topic, Array.from({ length: count }, (_, p) => p)]),
    );
    return Promise.resolve(
      [...coAssign(subscribers, partitions)].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 0,
          assignment,
          userData: Buffer.alloc(0),
        }),
      })),
    );
  },
  protocol({ topics }) {
    return {
      name: CO_ASSIGNER_NAME,
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 0,
        topics,
        userData: encodeCounts(countsOf(cluster, topics)),
      }),
    };
  },
});

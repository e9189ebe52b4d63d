import { AssignerProtocol, type PartitionAssigner } from 'kafkajs';

export const CO_ASSIGNER_NAME = 'iterable-sync-co-partition';

/** Partition p of every topic goes to member p modulo the number of members. Pure. */
export function coAssign(
  memberIds: readonly string[],
  topics: ReadonlyMap<string, readonly number[]>,
): Map<string, Record<string, number[]>> {
  const members = [...memberIds].sort();
  const assignment = new Map<string, Record<string, number[]>>(
    members.map((member) => [member, Object.fromEntries([...topics.keys()].map((t) => [t, []]))]),
  );
  for (const [topic, partitions] of topics) {
    for (const partition of partitions) {
      const member = members[partition % members.length];
      if (member !== undefined) assignment.get(member)?.[topic]?.push(partition);
    }
  }
  return assignment;
}

/** Keeps one user with one member: messages of both topics about a user have the same partition. */
export const coAssigner: PartitionAssigner = ({ cluster }) => ({
  name: CO_ASSIGNER_NAME,
  version: 0,
  assign({ members, topics }) {
    const partitions = new Map(
      topics.map((topic) => [
        topic,
        cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId),
      ]),
    );
    const ids = members.map(({ memberId }) => memberId);
    return Promise.resolve(
      [...coAssign(ids, partitions)].map(([memberId, assignment]) => ({
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
        userData: Buffer.alloc(0),
      }),
    };
  },
});

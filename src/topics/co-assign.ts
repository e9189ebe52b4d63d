/** A member as it shows itself to the one that assigns. */
export interface Subscriber {
  memberId: string;
  topics: readonly string[];
}

/**
 * Partition p of a topic goes to the p-th of the members that subscribe to it, modulo their number.
 * Members of other projects may be in the group: each topic stays with those that read it. Pure.
 */
export function coAssign(
  members: readonly Subscriber[],
  topics: ReadonlyMap<string, readonly number[]>,
): Map<string, Record<string, number[]>> {
  const sorted = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const assignment = new Map<string, Record<string, number[]>>(
    sorted.map(({ memberId, topics: own }) => [
      memberId,
      Object.fromEntries(own.filter((topic) => topics.has(topic)).map((topic) => [topic, []])),
    ]),
  );
  for (const [topic, partitions] of topics) {
    const readers = sorted.filter((member) => member.topics.includes(topic));
    for (const partition of partitions) {
      const reader = readers[partition % readers.length];
      if (reader !== undefined) assignment.get(reader.memberId)?.[topic]?.push(partition);
    }
  }
  return assignment;
}

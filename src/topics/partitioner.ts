/**
 * Which partition a key belongs to, its first `length` bytes: as Kafka's default partitioner (murmur2 over the key's UTF-8
 * bytes, made positive, modulo the number of partitions), so that both kinds of topics, and other
 * producers of the same topic, agree.
 * Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
 */
export function partitionOf(bytes: Uint8Array, length: number, partitions: number): number {
  return (murmur2(bytes, length) & 0x7fffffff) % partitions;
}

/** Kafka's murmur2 of the first `length` bytes, as a signed 32-bit integer. */
export function murmur2(data: Uint8Array, length = data.length): number {
  const m = 0x5bd1e995;
  const tail = length & ~3;
  let h = 0x9747b28c ^ length;
  for (let at = 0; at < tail; at += 4) {
    let k =
      (data[at] ?? 0) |
      ((data[at + 1] ?? 0) << 8) |
      ((data[at + 2] ?? 0) << 16) |
      ((data[at + 3] ?? 0) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  if (tail < length) {
    for (let at = length - 1; at >= tail; at -= 1) h ^= (data[at] ?? 0) << (8 * (at - tail));
    h = Math.imul(h, m);
  }
  h ^= h >>> 13;
  h = Math.imul(h, m);
  h ^= h >>> 15;
  return h | 0;
}

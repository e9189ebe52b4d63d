/**
 * Which partition a key belongs to: as Kafka's default partitioner (murmur2 over the key's UTF-8
 * bytes, made positive, modulo the number of partitions), so that both kinds of topics, and other
 * producers of the same topic, agree.
 * Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
 */
export function partitionFor(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
}

/** Kafka's murmur2, as a signed 32-bit integer. */
export function murmur2(data: Uint8Array): number {
  const m = 0x5bd1e995;
  const length = data.length;
  let h = 0x9747b28c ^ length;
  const words = length >> 2;
  for (let i = 0; i < words; i += 1) {
    let k = word(data, i * 4);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const tail = words * 4;
  const left = length & 3;
  if (left > 0) {
    for (let i = left - 1; i >= 0; i -= 1) h ^= (data[tail + i] ?? 0) << (8 * i);
    h = Math.imul(h, m);
  }
  h ^= h >>> 13;
  h = Math.imul(h, m);
  h ^= h >>> 15;
  return h | 0;
}

/** Four bytes, little endian. */
function word(data: Uint8Array, at: number): number {
  const byte = (i: number): number => data[at + i] ?? 0;
  return byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24);
}

/** Whether a text is a GTID as MySQL writes it (`uuid:n`, or `uuid:tag:n`). */
export function isMysqlGtid(text: string | null): text is string {
  return (
    text !== null &&
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:([a-z_][a-z0-9_]*:)?\d+$/i.test(text)
  );
}

/** Membership in a GTID set such as `@@GLOBAL.gtid_executed`. */
export async function gtidMembership(setText: string): Promise<(gtid: string) => boolean> {
  // Asked of a stream's messages alone: what has none is spared the binlog's library.
  const { GtidSet } = await import('@vlasky/zongji');
  const set = GtidSet.parse(setText);
  return (gtid) => set.contains(gtid);
}

/**
 * Whether a MariaDB GTID (`domain-server-number`) is among those that a position such as
 * `@@GLOBAL.gtid_slave_pos` stands for; null where the position says nothing of its domain, or the
 * text is no such GTID.
 */
export function mariadbGtidMembership(positionText: string): (gtid: string) => boolean | null {
  const numbers = new Map<string, bigint>();
  for (const part of positionText.split(',')) {
    const [, domain, number] = /^\s*(\d+)-\d+-(\d+)\s*$/.exec(part) ?? [];
    if (domain !== undefined) numbers.set(domain, BigInt(number ?? 0));
  }
  return (gtid) => {
    const [, domain, number] = /^(\d+)-\d+-(\d+)$/.exec(gtid) ?? [];
    const applied = domain === undefined ? undefined : numbers.get(domain);
    return applied === undefined ? null : BigInt(number ?? 0) <= applied;
  };
}

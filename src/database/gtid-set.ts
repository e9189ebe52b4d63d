import { GtidSet } from '@vlasky/zongji';

/** Whether a text is a GTID as MySQL writes it (`uuid:n`, or `uuid:tag:n`). */
export function isMysqlGtid(text: string | null): text is string {
  return (
    text !== null &&
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:([a-z_][a-z0-9_]*:)?\d+$/i.test(text)
  );
}

/** Membership in a GTID set such as `@@GLOBAL.gtid_executed`. */
export function gtidMembership(setText: string): (gtid: string) => boolean {
  const set = GtidSet.parse(setText);
  return (gtid) => set.contains(gtid);
}

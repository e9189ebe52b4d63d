import type { Connection } from 'mysql2/promise';
import type { TopicFormat } from '../../../settings/types.ts';
import { type Check, check } from './check.ts';
import { readReplicaStatus, readServerFacts } from '../server.ts';

const FIXES: Readonly<Record<TopicFormat, string>> = {
  page_view: 'set gtid_mode=ON on the source and the replica, or let DB_HOST be the source',
  debezium: 'see that source.gtid is in the messages (gtid_mode=ON), or let DB_HOST be the source',
  maxwell: 'set output_gtid_position=true for Maxwell, or let DB_HOST be the source',
};

/**
 * For a DB_HOST that is a replica: whether its GTIDs can tell which changes of the topic it shows
 * by now. Empty where it is none. Only for people: delivery works without, and looks at users once
 * more a minute after it gave up.
 */
export async function checkReplica(connection: Connection, format: TopicFormat): Promise<Check[]> {
  // Without the grant for it, another check says so.
  const channels = await readReplicaStatus(connection).catch(() => []);
  if (channels.length === 0) return [];
  const { hasGtids } = await readServerFacts(connection);
  return [
    check(
      'replica',
      {
        ok: hasGtids && format === 'page_view',
        detail: hasGtids
          ? 'DB_HOST is a replica; the GTIDs of messages tell what it shows by now'
          : 'DB_HOST is a replica without GTIDs: a change that it shows later than a minute is overlooked',
        fix: FIXES[format],
      },
      false,
    ),
  ];
}

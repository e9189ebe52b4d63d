import { gtidMembership, isMysqlGtid } from '../database/gtid-set.ts';
import { LOOK_MS_MAX, type Query, type Rule } from '../rule/rule.ts';
import type { Look, Visibility } from './looks.ts';

/**
 * What other sessions can see of these looks' transactions. It has to be asked before the rule
 * is: what is visible here is visible to the rule's query.
 *
 * MySQL adds a GTID to gtid_executed after the engine has committed
 * (sql/binlog.cc, MYSQL_BIN_LOG::process_commit_stage_queue), so membership proves visibility.
 */
export async function readVisibility(
  rule: Pick<Rule, 'visibleViews'>,
  query: Query,
  looks: readonly Look[],
): Promise<Visibility> {
  const viewIds = new Set<string>();
  let hasGtids = false;
  for (const look of looks) {
    if (look.viewId !== null) viewIds.add(look.viewId);
    else if (look.isChange && isMysqlGtid(look.gtid)) hasGtids = true;
  }
  const views = await rule.visibleViews([...viewIds]);
  const isInvisible = ({ viewId, gtid }: Look): boolean =>
    viewId !== null && !views.has(viewId) && isMysqlGtid(gtid);
  if (!hasGtids && !looks.some(isInvisible)) return { views, hasExecuted: () => null };
  const rows = await query('SELECT @@GLOBAL.gtid_executed AS executed', {}, LOOK_MS_MAX);
  const isMember = gtidMembership(String(rows[0]?.['executed']));
  return { views, hasExecuted: (gtid) => (isMysqlGtid(gtid) ? isMember(gtid) : null) };
}

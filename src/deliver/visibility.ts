import { gtidMembership, isMysqlGtid, mariadbGtidMembership } from '../database/gtid-set.ts';
import { heldRows } from '../database/held-rows.ts';
import { type FilePosition, isPast, parseLogPosition } from '../database/log-position.ts';
import type { Session } from '../database/open.ts';
import { commitHoldMsMax } from '../database/semi-sync.ts';
import { IDENTITY_VARIABLES, type ServerIdentity, identityOf } from '../database/server.ts';
import { OUR_TABLES } from '../model/columns.ts';
import { LOOK_MS_MAX, type Rule, sqlInteger } from '../rule/rule.ts';
import { type LookAnswer, SETTLE_MS, type Visibility } from './looks.ts';
import type { Cause, ChangedRow, Trigger } from './trigger.ts';

/** What one of the server's means says of a trigger's transaction; null: nothing. */
type Proof = (trigger: Trigger) => boolean | 'held' | null;

/**
 * What the rule says of the users, and what could be seen of these triggers' transactions before it
 * was asked, or at that moment: of one server, so that what was visible is in the rule's answer. More
 * than the page views is asked only where they leave a doubt.
 */
export async function lookAt(
  rule: Pick<Rule, 'among' | 'look' | 'visibleViews'>,
  session: Session,
  userIds: readonly string[],
  triggers: readonly Trigger[],
): Promise<LookAnswer> {
  const viewIds: string[] = [];
  for (const { cause } of triggers) if (cause.kind === 'view') viewIds.push(cause.id);
  // Where a change leaves a doubt anyway, the rule is asked after it is settled, and not before.
  const { views, rows } = triggers.some(({ cause }) => cause.kind === 'change')
    ? { views: await rule.visibleViews(viewIds, session.query), rows: null }
    : await rule.look(userIds, viewIds, session.query);
  const doubtful = triggers.filter(({ cause }) => isDoubtful(cause, views));
  if (rows !== null && doubtful.length === 0) {
    return { visibility: { views, hasExecuted: () => null }, rows };
  }
  const visibility = { views, ...(await proofOf(session, doubtful)) };
  return { visibility, rows: await rule.among(userIds, session.query) };
}

/** Whether none of the page views that are there tells that it is visible. */
function isDoubtful(cause: Cause, views: Visibility['views']): boolean {
  return cause.kind === 'change' || (cause.kind === 'view' && !views.has(cause.id));
}

/** What the server says of triggers that no page view has told about. */
async function proofOf(
  session: Session,
  doubtful: readonly Trigger[],
): Promise<Omit<Visibility, 'views'>> {
  const server = await readServer(session);
  const hasExecuted =
    server.flavour === 'mysql'
      ? await mysqlProof(session, server, doubtful)
      : await mariadbProof(session, server, doubtful);
  if (doubtful.every((trigger) => hasExecuted(trigger) !== null)) return { hasExecuted };
  const holdMsMax = await commitHoldMsMax((sql) => session.query(sql, {}, LOOK_MS_MAX));
  return { hasExecuted, settleMs: SETTLE_MS + holdMsMax };
}

async function readServer({ query, facts }: Session): Promise<ServerIdentity> {
  if (facts.size === 0) {
    const sql = 'SHOW GLOBAL VARIABLES WHERE Variable_name IN (:names)';
    const rows = await query(sql, { names: IDENTITY_VARIABLES }, LOOK_MS_MAX);
    for (const row of rows) facts.set(String(row['Variable_name']), String(row['Value']));
  }
  return identityOf(facts);
}

/** File positions mean nothing on another server. */
function placeOn(server: ServerIdentity, { position }: Trigger): FilePosition | null {
  const place = parseLogPosition(position?.logPosition ?? undefined);
  return place?.server === server.id ? place : null;
}

function isOf(server: ServerIdentity, trigger: Trigger): boolean {
  return placeOn(server, trigger) !== null;
}

function gtidOf({ position }: Trigger): string | null {
  return position?.gtid ?? null;
}

/** The row to look for: the page view itself, or the one that the change names. */
function rowOf({ cause }: Trigger): ChangedRow | null {
  return cause.table === null ? null : cause;
}

/**
 * MySQL adds a GTID to gtid_executed after the storage engine has committed
 * (sql/binlog.cc, MYSQL_BIN_LOG::process_commit_stage_queue), so membership proves visibility. Of
 * a transaction without one, the locks of its rows tell whether it is over, on the server whose log
 * has it.
 */
async function mysqlProof(
  session: Session,
  server: ServerIdentity,
  triggers: readonly Trigger[],
): Promise<Proof> {
  let isMember: ((gtid: string) => boolean) | null = null;
  if (triggers.some((trigger) => isMysqlGtid(gtidOf(trigger)))) {
    const sql = 'SELECT @@GLOBAL.gtid_executed AS executed';
    const [row] = await session.query(sql, {}, LOOK_MS_MAX);
    isMember = await gtidMembership(String(row?.['executed']));
  }
  const isByRow = (trigger: Trigger): boolean =>
    !isMysqlGtid(gtidOf(trigger)) && rowOf(trigger) !== null && isOf(server, trigger);
  const held = new Set<string>();
  for (const table of OUR_TABLES) {
    const ids = new Set(
      triggers.filter(isByRow).flatMap((trigger) => {
        const row = rowOf(trigger);
        return row !== null && row.table === table ? [row.id] : [];
      }),
    );
    const found = await heldRows(session, table, [...ids].map(sqlInteger));
    for (const id of found) held.add(`${table} ${id}`);
  }
  return (trigger) => {
    const gtid = gtidOf(trigger);
    if (isMysqlGtid(gtid)) return isMember === null ? null : isMember(gtid);
    const row = rowOf(trigger);
    if (row === null || !isByRow(trigger)) return null;
    return held.has(`${row.table} ${row.id}`) ? 'held' : true;
  };
}

/**
 * MariaDB says up to which place of its log transactions are visible
 * (sql/log.cc, TC_LOG_BINLOG::set_status_variables), and a replica which GTIDs it has applied.
 * https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/
 */
async function mariadbProof(
  session: Session,
  server: ServerIdentity,
  triggers: readonly Trigger[],
): Promise<Proof> {
  const proofs: Proof[] = [];
  if (triggers.some((trigger) => isOf(server, trigger))) {
    const sql = "SHOW STATUS LIKE 'binlog_snapshot_%'";
    const rows = await session.query(sql, {}, LOOK_MS_MAX);
    const values = new Map(
      rows.map((row) => [String(row['Variable_name']).toLowerCase(), String(row['Value'])]),
    );
    const file = values.get('binlog_snapshot_file') ?? '';
    const position = Number(values.get('binlog_snapshot_position'));
    proofs.push((trigger) => {
      const place = file === '' ? null : placeOn(server, trigger);
      return place === null ? null : isPast({ file, position }, place);
    });
  }
  if (triggers.some((trigger) => gtidOf(trigger) !== null && !isOf(server, trigger))) {
    const [row] = await session.query('SELECT @@GLOBAL.gtid_slave_pos AS applied', {}, LOOK_MS_MAX);
    const has = mariadbGtidMembership(String(row?.['applied'] ?? ''));
    proofs.push((trigger) => {
      const gtid = gtidOf(trigger);
      return gtid === null || isOf(server, trigger) ? null : has(gtid);
    });
  }
  return (trigger) => {
    for (const proof of proofs) {
      const says = proof(trigger);
      if (says !== null) return says;
    }
    return null;
  };
}

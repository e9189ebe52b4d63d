import { gtidMembership, isMysqlGtid, mariadbGtidMembership } from '../database/gtid-set.ts';
import { heldRows } from '../database/held-rows.ts';
import { type FilePosition, isPast, parseLogPosition } from '../database/log-position.ts';
import type { Session } from '../database/open.ts';
import { commitHoldMsMax } from '../database/semi-sync.ts';
import { IDENTITY_VARIABLES, type ServerIdentity, identityOf } from '../database/server.ts';
import { OUR_TABLES } from '../model/columns.ts';
import { LOOK_MS_MAX, type Rule, sqlInteger } from '../rule/rule.ts';
import {
  type ChangedRow,
  type Look,
  type LookAnswer,
  SETTLE_MS,
  type Visibility,
} from './looks.ts';

/** What one of the server's means says of a look; null: nothing. */
type Proof = (look: Look) => boolean | 'held' | null;

/**
 * What the rule says of the users, and what could be seen of these looks' transactions before it was
 * asked, or at that moment: of one server, so that what was visible is in the rule's answer. More
 * than the page views is asked only where they leave a doubt.
 */
export async function lookAt(
  rule: Pick<Rule, 'among' | 'look' | 'visibleViews'>,
  session: Session,
  userIds: readonly string[],
  looks: readonly Look[],
): Promise<LookAnswer> {
  const viewIds: string[] = [];
  for (const { viewId } of looks) if (viewId !== null) viewIds.push(viewId);
  // Where a change leaves a doubt anyway, the rule is asked after it is settled, and not before.
  const { views, rows } = looks.some(isChangeOnly)
    ? { views: await rule.visibleViews(viewIds, session.query), rows: null }
    : await rule.look(userIds, viewIds, session.query);
  const doubtful = looks.filter(
    (look) => isChangeOnly(look) || (look.viewId !== null && !views.has(look.viewId)),
  );
  if (rows !== null && doubtful.length === 0) {
    return { visibility: { views, hasExecuted: () => null }, rows };
  }
  const visibility = { views, ...(await proofOf(session, doubtful)) };
  return { visibility, rows: await rule.among(userIds, session.query) };
}

/** No page view tells whether it is visible. */
function isChangeOnly({ viewId, isChange }: Look): boolean {
  return viewId === null && isChange;
}

/** What the server says of looks that no page view has told about. */
async function proofOf(
  session: Session,
  doubtful: readonly Look[],
): Promise<Omit<Visibility, 'views'>> {
  const server = await readServer(session);
  const hasExecuted =
    server.flavour === 'mysql'
      ? await mysqlProof(session, server, doubtful)
      : await mariadbProof(session, server, doubtful);
  if (doubtful.every((look) => hasExecuted(look) !== null)) return { hasExecuted };
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
function placeOn(server: ServerIdentity, { logPosition }: Look): FilePosition | null {
  const place = parseLogPosition(logPosition ?? undefined);
  return place?.server === server.id ? place : null;
}

function isOf(server: ServerIdentity, look: Look): boolean {
  return placeOn(server, look) !== null;
}

/** The row to look for: the page view itself, or the one that the change names. */
function rowOf({ viewId, row = null }: Look): ChangedRow | null {
  return viewId === null ? row : { table: 'page_views', id: viewId };
}

/**
 * MySQL adds a GTID to gtid_executed after the engine has committed
 * (sql/binlog.cc, MYSQL_BIN_LOG::process_commit_stage_queue), so membership proves visibility. Of
 * a transaction without one, the locks of its rows tell whether it is over, on the server whose log
 * has it.
 */
async function mysqlProof(
  session: Session,
  server: ServerIdentity,
  looks: readonly Look[],
): Promise<Proof> {
  let isMember: ((gtid: string) => boolean) | null = null;
  if (looks.some(({ gtid }) => isMysqlGtid(gtid))) {
    const sql = 'SELECT @@GLOBAL.gtid_executed AS executed';
    const [row] = await session.query(sql, {}, LOOK_MS_MAX);
    isMember = await gtidMembership(String(row?.['executed']));
  }
  const isByRow = (look: Look): boolean =>
    !isMysqlGtid(look.gtid) && rowOf(look) !== null && isOf(server, look);
  const held = new Set<string>();
  for (const table of OUR_TABLES) {
    const ids = new Set(
      looks.filter(isByRow).flatMap((look) => {
        const row = rowOf(look);
        return row !== null && row.table === table ? [row.id] : [];
      }),
    );
    const found = await heldRows(session, table, [...ids].map(sqlInteger));
    for (const id of found) held.add(`${table} ${id}`);
  }
  return (look) => {
    if (isMysqlGtid(look.gtid)) return isMember === null ? null : isMember(look.gtid);
    const row = rowOf(look);
    if (row === null || !isByRow(look)) return null;
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
  looks: readonly Look[],
): Promise<Proof> {
  const proofs: Proof[] = [];
  if (looks.some((look) => isOf(server, look))) {
    const sql = "SHOW STATUS LIKE 'binlog_snapshot_%'";
    const rows = await session.query(sql, {}, LOOK_MS_MAX);
    const values = new Map(
      rows.map((row) => [String(row['Variable_name']).toLowerCase(), String(row['Value'])]),
    );
    const file = values.get('binlog_snapshot_file') ?? '';
    const position = Number(values.get('binlog_snapshot_position'));
    proofs.push((look) => {
      const place = file === '' ? null : placeOn(server, look);
      return place === null ? null : isPast({ file, position }, place);
    });
  }
  if (looks.some((look) => look.gtid !== null && !isOf(server, look))) {
    const [row] = await session.query('SELECT @@GLOBAL.gtid_slave_pos AS applied', {}, LOOK_MS_MAX);
    const has = mariadbGtidMembership(String(row?.['applied'] ?? ''));
    proofs.push((look) => (look.gtid === null || isOf(server, look) ? null : has(look.gtid)));
  }
  return (look) => {
    for (const proof of proofs) {
      const says = proof(look);
      if (says !== null) return says;
    }
    return null;
  };
}

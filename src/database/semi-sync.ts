import { setTimeout as sleep } from 'node:timers/promises';

/** Rows of one statement without parameters. */
type Ask = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

async function pairs(ask: Ask, sql: string): Promise<Map<string, string>> {
  const rows = await ask(sql);
  return new Map(
    rows.map((row) => [String(row['Variable_name']).toLowerCase(), String(row['Value'])]),
  );
}

/** Of one of MySQL's two names for it, or MariaDB's. */
function valueOf(of: ReadonlyMap<string, string>, ending: string): string | null {
  for (const side of ['source', 'master']) {
    const value = of.get(`rpl_semi_sync_${side}_${ending}`);
    if (value !== undefined) return value;
  }
  return null;
}

/**
 * How long semi-synchronous replication can keep a commit that is in the log from being visible:
 * until a replica has answered, or for the server's own time limit. 0 where it keeps none.
 */
export async function commitHoldMsMax(ask: Ask): Promise<number> {
  const variables = await pairs(ask, "SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_%'");
  if (valueOf(variables, 'enabled') !== 'ON') return 0;
  if (valueOf(variables, 'wait_point') === 'AFTER_COMMIT') return 0;
  return Number(valueOf(variables, 'timeout') ?? 0);
}

/** Between the log and the engine, where nobody is waited for: milliseconds; more on a busy disk. */
const COMMIT_GAP_MS = 1_000;
const POLL_MS = 250;

/**
 * Resolves when what is in the log now is visible to queries from then on: when no session waits
 * for a replica, or the server's own time limit has passed.
 */
export async function untilCommitsAreVisible(ask: Ask, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  const holdMsMax = await commitHoldMsMax(ask);
  const endMs = performance.now() + COMMIT_GAP_MS + holdMsMax;
  await sleep(COMMIT_GAP_MS, undefined, options);
  if (holdMsMax === 0) return;
  while (performance.now() < endMs) {
    const status = await pairs(ask, "SHOW GLOBAL STATUS LIKE 'rpl_semi_sync_%_wait_sessions'");
    if (Number(valueOf(status, 'wait_sessions') ?? 0) === 0) return;
    await sleep(POLL_MS, undefined, options);
  }
}

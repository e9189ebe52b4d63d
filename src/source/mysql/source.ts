import type { Connection } from 'mysql2/promise';
import { connect } from '../../database/connect.ts';
import { explainDatabaseError } from '../../database/explain.ts';
import { UnavailableError } from '../../errors.ts';
import type { Clock } from '../../model/clock.ts';
import type { DatabaseSettings } from '../../settings/types.ts';
import type {
  Beginning,
  ChangeReading,
  ChangeSource,
  OpenSource,
  ReadOptions,
  Resumption,
  SavedPosition,
  SourcePosition,
} from '../port.ts';
import { AUDIT_INTERVAL_MS, Audit } from './audit/audit.ts';
import { checkSource, refusalOf } from './checks/checks.ts';
import { type Definitions, readDefinitions } from './checks/table-definitions.ts';
import { isTransient } from './failure.ts';
import { type LockGuard, guardLock, lockName, takeLock } from './lock.ts';
import { LogFailures } from './log-failures.ts';
import { type ServerPosition, parsePosition, sourcePosition } from './position.ts';
import { MysqlReading, type Say } from './reading.ts';
import { type ServerFacts, readEarliest, readNow, readServerFacts, readVisible } from './server.ts';
import { askAbout, decideResume } from './start.ts';

export interface MysqlSourceOptions {
  db: DatabaseSettings;
  say: Say;
  clock: Clock;
  /** Between two looks for rows that are not in the log; AUDIT_INTERVAL_MS by default. */
  auditIntervalMs?: number;
}

/** What outlives a connection. */
interface Kept {
  db: DatabaseSettings;
  say: Say;
  clock: Clock;
  audit: Audit;
  logFailures: LogFailures;
  sentenceOf: (error: unknown) => string;
}

/** The binlog of MySQL or MariaDB. */
export class MysqlSource implements ChangeSource {
  readonly name: string;
  readonly #kept: Kept;

  constructor({ db, say, clock, auditIntervalMs = AUDIT_INTERVAL_MS }: MysqlSourceOptions) {
    this.name = db.name;
    this.#kept = {
      db,
      say,
      clock,
      audit: new Audit(db, auditIntervalMs),
      logFailures: new LogFailures(clock),
      sentenceOf: (error) => this.explain(error).error.message,
    };
  }

  async open(
    reader: string,
    signal: AbortSignal,
    onWaiting: () => void,
  ): Promise<OpenSource | null> {
    const { db, clock } = this.#kept;
    const control = await connect(db);
    try {
      const refusal = refusalOf(await checkSource(control, db));
      if (refusal !== null) throw new UnavailableError(`capture cannot start: ${refusal}`);
      const facts = await readServerFacts(control);
      const lock = lockName(db.name, reader);
      if (await takeLock(control, lock, signal, onWaiting)) {
        return new OpenMysql(control, guardLock(control, lock, clock), facts, this.#kept);
      }
    } catch (error) {
      control.destroy();
      throw error;
    }
    control.destroy();
    return null;
  }

  explain(error: unknown): { error: UnavailableError; isTransient: boolean } {
    const explained =
      error instanceof UnavailableError ? error : explainDatabaseError(error, this.#kept.db);
    return { error: explained, isTransient: isTransient(error) };
  }
}

/** The control connection holds the lock and answers questions; the binlog has connections of its own. */
class OpenMysql implements OpenSource {
  readonly broken: AbortSignal;
  readonly #control: Connection;
  readonly #guard: LockGuard;
  readonly #facts: ServerFacts;
  readonly #kept: Kept;

  constructor(control: Connection, guard: LockGuard, facts: ServerFacts, kept: Kept) {
    this.broken = guard.signal;
    this.#control = control;
    this.#guard = guard;
    this.#facts = facts;
    this.#kept = kept;
  }

  async resume(saved: SavedPosition): Promise<Resumption> {
    const position = parsePosition(saved);
    if (position === null) return { kind: 'unreadable' };
    const facts = await askAbout(this.#control, this.#facts, position, this.#kept.clock);
    const decision = decideResume(position, facts);
    if (decision.kind === 'gone') return decision;
    return { kind: 'resume', position: sourcePosition(this.#facts, decision.position) };
  }

  async positionAt(beginning: Beginning): Promise<SourcePosition> {
    const read = { visible: readVisible, now: readNow, earliest: readEarliest }[beginning];
    return sourcePosition(this.#facts, await read(this.#control, this.#facts));
  }

  async read(position: SourcePosition, options: ReadOptions): Promise<ChangeReading> {
    const { db } = this.#kept;
    return new MysqlReading({
      ...options,
      ...this.#kept,
      facts: this.#facts,
      from: ofThisSource(position),
      definitions: await readDefinitions(this.#control, db),
      readDefinitions: () => readDefinitionsAnew(db),
      broken: this.broken,
    });
  }

  [Symbol.dispose](): void {
    this.#guard[Symbol.dispose]();
    this.#control.destroy();
  }
}

function ofThisSource({ saved, label }: SourcePosition): ServerPosition {
  const position = parsePosition(saved);
  if (position === null) throw new Error(`${label} is no position of a binlog`);
  return position;
}

/** On a connection of its own: the lock's answers for the lock. */
async function readDefinitionsAnew(db: DatabaseSettings): Promise<Definitions> {
  const connection = await connect(db);
  try {
    return await readDefinitions(connection, db);
  } finally {
    connection.destroy();
  }
}

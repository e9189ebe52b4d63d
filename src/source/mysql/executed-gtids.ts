import { GtidSet, MariadbGtidPosition } from '@vlasky/zongji';
import { type Gtid, gtidText } from './gtid.ts';

/** What was executed, as a GTID set of MySQL or a position of MariaDB. */
export interface ExecutedGtids {
  /** This one, and those of its source from the number `first` on. */
  add(gtid: Gtid, first: number | bigint): void;
  toString(): string;
}

/** Numbers that follow one another, of one source. */
interface Run {
  source: string;
  first: number;
  last: number;
}

/** So many are put into the set at a time: it is read anew for it. */
const RUNS_MAX = 1_000;

/**
 * A set of MySQL. A transaction's GTID nearly always follows the one before of its source: the run
 * is extended in place, and put into the set when somebody asks for it.
 */
export class MysqlGtids implements ExecutedGtids {
  #set: GtidSet;
  #runs: Run[] = [];
  /** The newest of each source. */
  readonly #newest = new Map<string, Run>();

  constructor(text: string) {
    this.#set = GtidSet.parse(text);
  }

  /** @throws Error for what is no GTID, at the latest when the set is asked for. */
  add(gtid: Gtid, first: number | bigint): void {
    const { source, number } = gtid;
    if (typeof number !== 'number' || typeof first !== 'number') {
      return this.#set.add(gtidText(gtid));
    }
    const run = this.#newest.get(source);
    if (run !== undefined && first === run.last + 1) {
      run.last = number;
      return;
    }
    if (this.#runs.length >= RUNS_MAX) this.#settle();
    const next = { source, first, last: number };
    this.#newest.set(source, next);
    this.#runs.push(next);
  }

  toString(): string {
    this.#settle();
    return this.#set.toString();
  }

  #settle(): void {
    if (this.#runs.length === 0) return;
    const texts = this.#runs.map(({ source, first, last }) => `${source}${first}-${last}`);
    const before = this.#set.toString();
    this.#set = GtidSet.parse([...(before === '' ? [] : [before]), ...texts].join(','));
    this.#runs = [];
    this.#newest.clear();
  }
}

/** A position of MariaDB: of each domain the newest. */
export class MariadbGtids implements ExecutedGtids {
  readonly #position: MariadbGtidPosition;

  constructor(text: string) {
    this.#position = MariadbGtidPosition.parse(text);
  }

  add({ source, number }: Gtid): void {
    const [domainId, serverId] = source.split('-');
    const seqNo = String(number);
    this.#position.add({ domainId: Number(domainId), serverId: Number(serverId), seqNo });
  }

  toString(): string {
    return this.#position.toString();
  }
}

import { GtidSet, MariadbGtidPosition } from '@vlasky/zongji';

/** What was executed, as a GTID set of MySQL or a position of MariaDB. */
export interface ExecutedGtids {
  add(gtid: string): void;
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
  #last: Run | null = null;

  constructor(text: string) {
    this.#set = GtidSet.parse(text);
  }

  /** @throws Error for what is no GTID, at the latest when the set is asked for. */
  add(gtid: string): void {
    const colon = gtid.lastIndexOf(':');
    const number = Number(gtid.slice(colon + 1));
    if (!Number.isSafeInteger(number)) return this.#set.add(gtid);
    const run = this.#runOf(gtid, colon);
    if (run !== null && number === run.last + 1) {
      run.last = number;
      return;
    }
    if (this.#runs.length >= RUNS_MAX) this.#settle();
    this.#last = { source: gtid.slice(0, colon), first: number, last: number };
    this.#newest.set(this.#last.source, this.#last);
    this.#runs.push(this.#last);
  }

  toString(): string {
    this.#settle();
    return this.#set.toString();
  }

  #runOf(gtid: string, colon: number): Run | null {
    const last = this.#last;
    if (last !== null && last.source.length === colon && gtid.startsWith(last.source)) return last;
    this.#last = this.#newest.get(gtid.slice(0, colon)) ?? null;
    return this.#last;
  }

  #settle(): void {
    if (this.#runs.length === 0) return;
    const texts = this.#runs.map(({ source, first, last }) => `${source}:${first}-${last}`);
    const before = this.#set.toString();
    this.#set = GtidSet.parse([...(before === '' ? [] : [before]), ...texts].join(','));
    this.#runs = [];
    this.#newest.clear();
    this.#last = null;
  }
}

/** A position of MariaDB: of each domain the newest. */
export class MariadbGtids implements ExecutedGtids {
  readonly #position: MariadbGtidPosition;
  /** The newest of the domain that the last one was of. */
  #newest: string | null = null;
  /** With the hyphen. */
  #domain = '';

  constructor(text: string) {
    this.#position = MariadbGtidPosition.parse(text);
  }

  add(gtid: string): void {
    if (this.#newest === null || !gtid.startsWith(this.#domain)) {
      this.#settle();
      this.#domain = gtid.slice(0, gtid.indexOf('-') + 1);
    }
    this.#newest = gtid;
  }

  toString(): string {
    this.#settle();
    return this.#position.toString();
  }

  #settle(): void {
    if (this.#newest === null) return;
    const [domainId, serverId, seqNo = ''] = this.#newest.split('-');
    this.#position.add({ domainId: Number(domainId), serverId: Number(serverId), seqNo });
    this.#newest = null;
  }
}

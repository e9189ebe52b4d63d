import type { TransactionEnd } from '../dump/events.ts';
import type { Gtid } from '../gtid.ts';

/** The ends of transactions that followed one another, kept as one: that of the newest. */
export class TransactionEnds implements TransactionEnd {
  gtid: Gtid | null;
  file: string;
  position: number;
  first: number | bigint | null;

  constructor({ gtid, file, position }: TransactionEnd) {
    this.gtid = gtid;
    this.file = file;
    this.position = position;
    this.first = gtid?.number ?? null;
  }

  /** Takes in the next one. False: its GTID is not the one after, and nothing has changed. */
  takeIn({ gtid, file, position }: TransactionEnd): boolean {
    if (gtid !== null) {
      const last = this.gtid;
      if (last === null) this.first = gtid.number;
      else if (!isNext(gtid, last)) return false;
      this.gtid = gtid;
    }
    this.file = file;
    this.position = position;
    return true;
  }
}

const isNext = (gtid: Gtid, last: Gtid): boolean =>
  typeof last.number === 'number' && gtid.number === last.number + 1 && gtid.source === last.source;

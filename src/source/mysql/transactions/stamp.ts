import { logPositionText } from '../../../database/log-position.ts';
import { encodeHeaders } from '../../../topics/batch/headers.ts';
import { PAGE_VIEW_SCHEMA, USER_CHANGE_SCHEMA } from '../../../topics/messages.ts';
import type { TransactionStamp } from '../../port.ts';
import { type Gtid, gtidText } from '../gtid.ts';
import { writeId } from '../decode/json-bytes.ts';

type Headers = Readonly<Record<string, string>>;

/** Where a transaction begins in the log. */
interface Begin {
  gtid: Gtid | null;
  file: string;
  position: number;
}

/**
 * What all messages of one transaction share. The header `position` is its GTID, or file:position
 * where it begins. Where that is no GTID of MySQL, whose set of executed ones says what is visible,
 * `log_position` tells in which server's log it is, and where.
 */
export class Stamp implements TransactionStamp {
  /** Epoch ms. */
  readonly commitMs: number;
  readonly begin: Begin;
  readonly #server: string;
  readonly #viewHeaders: ViewHeaders;
  #position: Headers | null = null;
  #userChangeHeaders: Headers | null = null;

  /** `server`: whose log it is; `viewHeaders`: those of the transactions before. */
  constructor(begin: Begin, server: string, commitMs: number, viewHeaders = new ViewHeaders()) {
    this.begin = begin;
    this.commitMs = commitMs;
    this.#server = server;
    this.#viewHeaders = viewHeaders;
  }

  get namesViews(): boolean {
    return this.begin.gtid === null;
  }

  get pageViewHeaders(): Headers {
    return { schema: PAGE_VIEW_SCHEMA, ...this.#positionHeaders };
  }

  get encodedPageViewHeaders(): Uint8Array {
    return this.#viewHeaders.of(this);
  }

  get userChangeHeaders(): Headers {
    return (this.#userChangeHeaders ??= { schema: USER_CHANGE_SCHEMA, ...this.#positionHeaders });
  }

  get #positionHeaders(): Headers {
    return (this.#position ??= positionHeaders(this.begin, this.#server));
  }
}

function positionHeaders({ gtid, file, position }: Begin, server: string): Headers {
  if (gtid !== null && isOfMysql(gtid)) return { position: gtidText(gtid) };
  return {
    position: gtid === null ? `${file}:${position}` : gtidText(gtid),
    log_position: logPositionText(server, { file, position }),
  };
}

/** One of MariaDB has hyphens alone. */
const isOfMysql = ({ source }: Gtid): boolean => source.endsWith(':');

/** Digits of the highest number of a GTID that is no bigint. */
const DIGITS_MAX = 16;
/** A text below it has its length in one byte, which is twice the length. */
const LENGTH_LIMIT = 64;

/** Page views' headers, encoded: of GTIDs of one source only the number is written anew. */
export class ViewHeaders {
  #stamp: Stamp | null = null;
  #encoded: Uint8Array = new Uint8Array();
  #source = '';
  /** Up to the number they are those of `#source`. */
  #written: Buffer = Buffer.alloc(0);
  #numberAt = 0;
  /** Its beginning, as long as the last one's were. */
  #view: Uint8Array = this.#written;

  /** Good until it is asked for another one's. */
  of(stamp: Stamp): Uint8Array {
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      this.#encoded = this.#renumbered(stamp.begin.gtid) ?? encodeHeaders(stamp.pageViewHeaders);
    }
    return this.#encoded;
  }

  /** null: they are of another form. */
  #renumbered(gtid: Gtid | null): Uint8Array | null {
    if (gtid === null || typeof gtid.number !== 'number') return null;
    const { source, number } = gtid;
    if (source !== this.#source) {
      if (!isOfMysql(gtid) || source.length + DIGITS_MAX >= LENGTH_LIMIT) return null;
      const position = source + '0'.repeat(DIGITS_MAX);
      this.#written = encodeHeaders({ schema: PAGE_VIEW_SCHEMA, position });
      this.#numberAt = this.#written.length - DIGITS_MAX;
      this.#view = this.#written;
      this.#source = source;
    }
    const end = writeId(number, this.#written, this.#numberAt);
    const length = source.length + end - this.#numberAt;
    this.#written[this.#numberAt - source.length - 1] = length * 2;
    if (this.#view.length !== end) this.#view = this.#written.subarray(0, end);
    return this.#view;
  }
}

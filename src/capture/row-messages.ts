import { isMysqlGtid } from '../database/gtid-set.ts';
import { placeText } from '../database/log-place.ts';
import { PAGE_VIEW_SCHEMA, USER_CHANGE_SCHEMA, type UserChangeCause } from '../topics/messages.ts';
import type { OutgoingMessage, TopicNames } from '../topics/port.ts';
import type { CapturedTable, CaptureEvent, ChangedRows, Id } from './events.ts';

type RowsEvent = Extract<CaptureEvent, { kind: 'rows' }>;

/** What all messages of one transaction share. */
export interface Stamp {
  /** Epoch ms. */
  commitMs: number;
  /** Whether changes of page views say which: by their rows it is seen whether they are visible. */
  namesViews: boolean;
  pageViewHeaders: Readonly<Record<string, string>>;
  userChangeHeaders: Readonly<Record<string, string>>;
}

/**
 * The header `position` is the transaction's GTID, or file:position where it begins. Where that is
 * no GTID of MySQL, whose set of executed ones says what is visible, `log_position` tells in
 * which server's log it is, and where.
 */
export function stampOf(
  { gtid, file, position }: { gtid: string | null; file: string; position: number },
  server: string,
  commitMs: number,
): Stamp {
  const headers = {
    position: gtid ?? `${file}:${position}`,
    ...(isMysqlGtid(gtid) ? {} : { log_position: placeText(server, { file, position }) }),
  };
  return {
    commitMs,
    namesViews: gtid === null,
    pageViewHeaders: { schema: PAGE_VIEW_SCHEMA, ...headers },
    userChangeHeaders: { schema: USER_CHANGE_SCHEMA, ...headers },
  };
}

/** Sizes are for the queue's bound: characters, and what a message costs beside them. */
export const MESSAGE_BYTES = 200;

/** A view that takes more is written apart, so that one large text keeps no memory. */
const SCRATCH_BYTES = 64 * 1024;

/** Makes the topics' messages of changed rows. */
export class RowMessages {
  readonly #names: TopicNames;
  readonly #onRow: (table: CapturedTable, id: Id | null) => void;
  readonly #scratch = Buffer.allocUnsafe(SCRATCH_BYTES);

  /** `onRow` is told of every row that is inserted or updated. */
  constructor(
    names: TopicNames,
    onRow: (table: CapturedTable, id: Id | null) => void = () => undefined,
  ) {
    this.#names = names;
    this.#onRow = onRow;
  }

  /**
   * The messages of one rows event, in order. Each row says everything there is to say of it:
   * an inserted page view itself, every other change the users to look at again. A page view
   * without a user concerns nobody and makes no message.
   */
  append(event: RowsEvent, stamp: Stamp, to: OutgoingMessage[]): number {
    let bytes = 0;
    const { table, operation, rows } = event;
    const cause: UserChangeCause =
      table === 'customers'
        ? `customers.${operation}`
        : `page_views.${operation as 'update' | 'delete'}`;
    const isView = operation === 'insert' && table === 'page_views';
    while (rows.next()) {
      const id = rows.id();
      if (operation !== 'delete') this.#onRow(table, id);
      const user = rows.user();
      if (isView) {
        if (user !== null) bytes += this.#pageView(rows, user, stamp, to);
        continue;
      }
      bytes += this.#userChange(user, cause, id, stamp, to);
      if (operation !== 'update') continue;
      const before = rows.userBefore();
      if (before !== user) bytes += this.#userChange(before, cause, id, stamp, to);
    }
    return bytes;
  }

  #pageView(rows: ChangedRows, user: Id, stamp: Stamp, to: OutgoingMessage[]): number {
    const most = rows.viewBytesMax();
    const target = most <= SCRATCH_BYTES ? this.#scratch : Buffer.allocUnsafe(most);
    const value = target.toString('utf8', 0, rows.writeView(target, 0));
    to.push({
      topic: this.#names.pageViews,
      key: String(user),
      value,
      timestampMs: stamp.commitMs,
      headers: stamp.pageViewHeaders,
    });
    return value.length + MESSAGE_BYTES;
  }

  #userChange(
    user: Id | null,
    cause: UserChangeCause,
    id: Id | null,
    stamp: Stamp,
    to: OutgoingMessage[],
  ): number {
    if (user === null) return 0;
    const { commitMs, namesViews, userChangeHeaders } = stamp;
    const headers =
      namesViews && cause.startsWith('page_views')
        ? { ...userChangeHeaders, page_view_id: String(id) }
        : userChangeHeaders;
    to.push(userChange(this.#names.userChanges, user, cause, commitMs, headers));
    return MESSAGE_BYTES;
  }
}

/** One message of the user changes topic. */
export function userChange(
  topic: string,
  userId: Id,
  cause: UserChangeCause,
  timestampMs: number,
  headers: Readonly<Record<string, string>>,
): OutgoingMessage {
  const value = `{"user_id":${JSON.stringify(userId)},"cause":"${cause}"}`;
  return { topic, key: String(userId), value, timestampMs, headers };
}

import { isMysqlGtid } from '../database/gtid-set.ts';
import { placeText } from '../database/log-place.ts';
import { PAGE_VIEW_SCHEMA, USER_CHANGE_SCHEMA, type UserChangeCause } from '../topics/messages.ts';
import type { OutgoingMessage, TopicNames } from '../topics/port.ts';
import type { EventTimes } from './event-time.ts';
import type { CaptureEvent, ColumnNames, Row } from './events.ts';

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

/** Integers come as numbers, above 2^53 as strings; JSON has them the same way. */
function idJson(value: unknown): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(String(value));
}

function textJson(row: Row, column: string | null): string {
  if (column === null) return 'null';
  const value = row[column];
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null) return 'null';
  // An ENUM's error value: MySQL shows it as the empty string.
  if (value === undefined) return '""';
  return JSON.stringify(Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
}

/** Sizes are for the queue's bound: characters, and what a message costs beside them. */
export const MESSAGE_BYTES = 200;

/** Makes the topics' messages of changed rows. No state but a memo of the last time written. */
export class RowMessages {
  readonly #names: TopicNames;
  readonly #times: EventTimes;

  constructor(names: TopicNames, times: EventTimes) {
    this.#names = names;
    this.#times = times;
  }

  /**
   * The messages of one rows event, in order. Each row says everything there is to say of it:
   * an inserted page view itself, every other change the users to look at again. A page view
   * without a user concerns nobody and makes no message.
   */
  append(event: RowsEvent, stamp: Stamp, to: OutgoingMessage[]): number {
    let bytes = 0;
    const { table, operation, columns, rows } = event;
    const cause: UserChangeCause =
      table === 'customers'
        ? `customers.${operation}`
        : `page_views.${operation as 'update' | 'delete'}`;
    const userColumn = table === 'customers' ? columns.id : columns.userId;
    for (const row of rows) {
      if (operation === 'insert' && table === 'page_views') {
        bytes += this.#pageView(row as Row, columns, stamp, to);
      } else if (operation === 'update') {
        const { before, after } = row as { before: Row; after: Row };
        const from = before[userColumn];
        const now = after[userColumn];
        const id = after[columns.id];
        bytes += this.#userChange(now, cause, id, stamp, to);
        if (from !== now) bytes += this.#userChange(from, cause, id, stamp, to);
      } else {
        const { [userColumn]: user, [columns.id]: id } = row as Row;
        bytes += this.#userChange(user, cause, id, stamp, to);
      }
    }
    return bytes;
  }

  #pageView(row: Row, columns: ColumnNames, stamp: Stamp, to: OutgoingMessage[]): number {
    const userId = row[columns.userId];
    if (userId === null || userId === undefined) return 0;
    const value =
      `{"id":${idJson(row[columns.id])},"user_id":${idJson(userId)},"page":${textJson(row, columns.page)}` +
      `,"device":${textJson(row, columns.device)},"browser":${textJson(row, columns.browser)}` +
      `,"location":${textJson(row, columns.location)},"event_time":${this.#eventTime(row, columns)}}`;
    to.push({
      topic: this.#names.pageViews,
      key: String(userId),
      value,
      timestampMs: stamp.commitMs,
      headers: stamp.pageViewHeaders,
    });
    return value.length + MESSAGE_BYTES;
  }

  #userChange(
    userId: unknown,
    cause: UserChangeCause,
    id: unknown,
    stamp: Stamp,
    to: OutgoingMessage[],
  ): number {
    if (userId === null || userId === undefined) return 0;
    const { commitMs, namesViews, userChangeHeaders } = stamp;
    const headers =
      namesViews && cause.startsWith('page_views')
        ? { ...userChangeHeaders, page_view_id: String(id) }
        : userChangeHeaders;
    to.push(
      userChange(this.#names.userChanges, userId as number | string, cause, commitMs, headers),
    );
    return MESSAGE_BYTES;
  }

  #eventTime(row: Row, { eventTime, isWallTime }: ColumnNames): string {
    if (eventTime === null) return 'null';
    const value = row[eventTime];
    if (!(value instanceof Date)) return textJson(row, eventTime);
    const text = this.#times.text(value, isWallTime ? 'wall' : 'instant');
    return text === null ? 'null' : `"${text}"`;
  }
}

/** One message of the user changes topic. */
export function userChange(
  topic: string,
  userId: number | string,
  cause: UserChangeCause,
  timestampMs: number,
  headers: Readonly<Record<string, string>>,
): OutgoingMessage {
  const value = `{"user_id":${idJson(userId)},"cause":"${cause}"}`;
  return { topic, key: String(userId), value, timestampMs, headers };
}

import type { UserChangeCause } from '../topics/messages.ts';
import type { OutgoingBatch, OutgoingMessage, TopicNames, ValueWriter } from '../topics/port.ts';
import type { Counted } from '../source/mysql/transactions/batch-queue.ts';
import type { OurTable } from '../model/columns.ts';
import type { CaptureEvent, ChangedRows, Id } from '../source/mysql/dump/events.ts';
import { type Stamp, ViewHeaders } from '../source/mysql/transactions/stamp.ts';

type RowsEvent = Extract<CaptureEvent, { kind: 'rows' }>;

const KINDS = {
  customers: {
    insert: 'customers.insert',
    update: 'customers.update',
    delete: 'customers.delete',
  },
  page_views: {
    insert: 'page_views.insert',
    update: 'page_views.update',
    delete: 'page_views.delete',
  },
} as const;

/** What an event is counted as, once its rows were read. */
export function countedOf({ table, operation, rows }: RowsEvent): Counted {
  return { kind: KINDS[table][operation], rows: rows.count };
}

/** An XA transaction's message with the time and the place of its commit. */
export function stamped(message: OutgoingMessage, stamp: Stamp): OutgoingMessage {
  const isView = message.headers['schema'] === stamp.pageViewHeaders['schema'];
  const headers = isView ? stamp.pageViewHeaders : stamp.userChangeHeaders;
  // A view's id stays what it is.
  return { ...message, headers: { ...message.headers, ...headers }, timestampMs: stamp.commitMs };
}

/** The row at hand as the value of a page view's message. */
class View implements ValueWriter {
  rows: ChangedRows;

  constructor(rows: ChangedRows) {
    this.rows = rows;
  }

  bytesMax(): number {
    return this.rows.viewBytesMax();
  }

  write(target: Buffer, at: number): number {
    return this.rows.writeView(target, at);
  }
}

/** Makes the topics' messages of changed rows. */
export class RowMessages {
  readonly #names: TopicNames;
  readonly #viewHeaders = new ViewHeaders();
  readonly #onRow: (table: OurTable, id: Id | null) => void;

  /** `onRow` is told of every row that is inserted or updated. */
  constructor(
    names: TopicNames,
    onRow: (table: OurTable, id: Id | null) => void = () => undefined,
  ) {
    this.#names = names;
    this.#onRow = onRow;
  }

  /**
   * The messages of one rows event, in order. Each row says everything there is to say of it:
   * an inserted page view itself, every other change the users to look at again. A page view
   * without a user concerns nobody and makes no message.
   */
  append(event: RowsEvent, stamp: Stamp, to: OutgoingBatch): void {
    if (event.operation === 'insert' && event.table === 'page_views') {
      return this.#pageViews(event.rows, stamp, to);
    }
    const { table, operation, rows } = event;
    const cause: UserChangeCause =
      table === 'customers'
        ? `customers.${operation}`
        : `page_views.${operation as 'update' | 'delete'}`;
    while (rows.next()) {
      const id = rows.id();
      if (operation !== 'delete') this.#onRow(table, id);
      const user = rows.user();
      this.#userChange(user, cause, id, stamp, to);
      if (operation !== 'update') continue;
      const before = rows.userBefore();
      if (before !== user) this.#userChange(before, cause, id, stamp, to);
    }
  }

  #pageViews(rows: ChangedRows, stamp: Stamp, to: OutgoingBatch): void {
    const { commitMs } = stamp;
    const headers = this.#viewHeaders.of(stamp);
    const topic = this.#names.pageViews;
    const view = new View(rows);
    while (rows.next()) {
      this.#onRow('page_views', rows.id());
      const user = rows.user();
      if (user !== null) to.pushWritten(topic, user, view, commitMs, headers);
    }
  }

  #userChange(
    user: Id | null,
    cause: UserChangeCause,
    id: Id | null,
    stamp: Stamp,
    to: OutgoingBatch,
  ): void {
    if (user === null) return;
    const { commitMs, namesViews, userChangeHeaders } = stamp;
    const headers =
      namesViews && cause.startsWith('page_views')
        ? { ...userChangeHeaders, page_view_id: String(id) }
        : userChangeHeaders;
    to.push(userChange(this.#names.userChanges, user, cause, commitMs, headers));
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

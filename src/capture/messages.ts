import type {
  ChangeEncoder,
  ChangedRows,
  Id,
  OnRow,
  RowsChange,
  TransactionStamp,
} from '../source/port.ts';
import { USER_CHANGE_SCHEMA, type UserChangeCause } from '../topics/messages.ts';
import type { OutgoingBatch, OutgoingMessage, TopicNames, ValueWriter } from '../topics/port.ts';

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

const nobody: OnRow = () => undefined;
const LOOK_HEADERS = { schema: USER_CHANGE_SCHEMA };

/** Makes the topics' messages of changed rows. */
export class RowMessages implements ChangeEncoder {
  readonly #names: TopicNames;

  constructor(names: TopicNames) {
    this.#names = names;
  }

  /**
   * Each row says everything there is to say of it: an inserted page view itself, every other change
   * the users to look at again. A page view without a user concerns nobody and makes no message.
   */
  rows(change: RowsChange, stamp: TransactionStamp, to: OutgoingBatch, onRow = nobody): void {
    if (change.operation === 'insert' && change.table === 'page_views') {
      return this.#pageViews(change.rows, stamp, to, onRow);
    }
    const { table, operation, rows } = change;
    const cause: UserChangeCause =
      table === 'customers'
        ? `customers.${operation}`
        : `page_views.${operation as 'update' | 'delete'}`;
    while (rows.next()) {
      const id = rows.id();
      if (operation !== 'delete') onRow(table, id);
      const user = rows.user();
      this.#userChange(user, cause, id, stamp, to);
      if (operation !== 'update') continue;
      const before = rows.userBefore();
      if (before !== user) this.#userChange(before, cause, id, stamp, to);
    }
  }

  looks(userIds: readonly Id[], cause: UserChangeCause, nowMs: number, to: OutgoingBatch): void {
    const topic = this.#names.userChanges;
    for (const id of userIds) to.push(userChange(topic, id, cause, nowMs, LOOK_HEADERS));
  }

  restamped(message: OutgoingMessage, stamp: TransactionStamp): OutgoingMessage {
    const isView = message.headers['schema'] === stamp.pageViewHeaders['schema'];
    const headers = isView ? stamp.pageViewHeaders : stamp.userChangeHeaders;
    // A view's id stays what it is.
    return { ...message, headers: { ...message.headers, ...headers }, timestampMs: stamp.commitMs };
  }

  #pageViews(rows: ChangedRows, stamp: TransactionStamp, to: OutgoingBatch, onRow: OnRow): void {
    const { commitMs, encodedPageViewHeaders } = stamp;
    const topic = this.#names.pageViews;
    const view = new View(rows);
    while (rows.next()) {
      onRow('page_views', rows.id());
      const user = rows.user();
      if (user !== null) to.pushWritten(topic, user, view, commitMs, encodedPageViewHeaders);
    }
  }

  #userChange(
    user: Id | null,
    cause: UserChangeCause,
    id: Id | null,
    stamp: TransactionStamp,
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

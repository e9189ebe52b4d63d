import { MessageList } from '../../../topics/message-list.ts';
import type { CaptureEvent } from '../dump/events.ts';
import { HeldRows } from './held-rows.ts';
import type { Loss } from './transaction-buffer.ts';
import type { ChangeBuffer } from './change-buffer.ts';
import { countedOf } from './batch-queue.ts';
import type { ChangeEncoder, OnRow } from '../../port.ts';
import type { Stamp } from './stamp.ts';

/** Rows of undecided XA transactions in memory; what goes above is published undecided. */
const PREPARED_BYTES_MAX = 64 * 1024 * 1024;

export interface XaOptions {
  encoder: ChangeEncoder;
  onRow: OnRow;
  changes: Pick<ChangeBuffer, 'add'>;
  onLoss: (loss: Loss) => void;
  onResync: (because: string) => void;
}

/** XA transactions wait for their decision, which may come much later, or never. */
export class XaTransactions {
  readonly #options: XaOptions;
  readonly #prepared = new Map<string, HeldRows>();

  constructor(options: XaOptions) {
    this.#options = options;
  }

  /** The rows of one event of the transaction that is being read. */
  hold(event: Extract<CaptureEvent, { kind: 'rows' }>, stamp: Stamp, held: HeldRows): void {
    const list = new MessageList();
    const { encoder, onRow } = this.#options;
    encoder.rows(event, stamp, list, onRow);
    held.add({ messages: list.messages, bytes: list.bytes, counted: countedOf(event) });
    let undecidedBytes = held.bytes;
    for (const { bytes } of this.#prepared.values()) undecidedBytes += bytes;
    if (undecidedBytes <= PREPARED_BYTES_MAX) return;
    held.isReleased = true;
    this.#publish(held, null);
  }

  prepare(xid: string, held: HeldRows | null): void {
    this.#prepared.set(xid, held ?? new HeldRows());
  }

  /** What is held counts. A stamp is that of the commit, where it came apart. */
  commit(held: HeldRows, stamp: Stamp | null): void {
    this.#publish(held, stamp);
    if (held.unseen !== null) this.#options.onResync(held.unseen);
  }

  /** A prepared transaction is committed, with this stamp, or rolled back. */
  decide(xid: string, isCommitted: boolean, stamp: Stamp): void {
    const { onLoss } = this.#options;
    const held = this.#prepared.get(xid);
    if (isCommitted && held === undefined) {
      // Prepared before the position where this capture began: its rows were never seen.
      onLoss({
        isFatal: false,
        sentence: 'an XA transaction was committed that was prepared before the start',
      });
    } else if (isCommitted && held?.isReleased === true) {
      // Its users were looked at before the commit.
      onLoss({
        isFatal: false,
        sentence: 'an XA transaction too large to be held was committed',
      });
    }
    this.#prepared.delete(xid);
    if (held !== undefined && isCommitted) this.commit(held, stamp);
  }

  #publish(held: HeldRows, stamp: Stamp | null): void {
    for (const { messages, counted } of held.take()) {
      const { changes, encoder } = this.#options;
      changes.add((to) => {
        for (const message of messages) {
          to.push(stamp === null ? message : encoder.restamped(message, stamp));
        }
      }, counted);
    }
  }
}

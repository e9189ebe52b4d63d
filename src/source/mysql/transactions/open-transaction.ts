import type { OutgoingBatch } from '../../../topics/port.ts';
import type { Counted } from './batch-queue.ts';
import type { ChangeBuffer } from './change-buffer.ts';

/** Rows of a transaction in memory until its end; from there on they go out at once. */
const HELD_BYTES_MAX = 1024 * 1024;

/** The rows of the transaction that is being read (no XA one), which wait in the change buffer for its end. */
export class OpenTransaction {
  readonly #changes: Pick<ChangeBuffer, 'begin' | 'rows' | 'undecided' | 'takeBack' | 'decide'>;
  #bytes = 0;
  #isReleased = false;
  /** By name: how many events with rows came before. */
  readonly #savepoints = new Map<string, number>();

  constructor(changes: Pick<ChangeBuffer, 'begin' | 'rows' | 'undecided' | 'takeBack' | 'decide'>) {
    this.#changes = changes;
    changes.begin();
  }

  /** Some were published undecided, for want of room. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  rows(fill: (to: OutgoingBatch) => Counted): void {
    this.#bytes += this.#changes.rows(fill);
    if (this.#isReleased || this.#bytes <= HELD_BYTES_MAX) return;
    this.#isReleased = true;
    this.#changes.decide();
  }

  savepoint(name: string): void {
    this.#savepoints.set(name, this.#changes.undecided);
  }

  /** Drops what came after the savepoint. False where that cannot be told: nothing is dropped. */
  rollBackTo(name: string): boolean {
    const kept = this.#savepoints.get(name);
    if (kept === undefined) return false;
    this.#bytes -= this.#changes.takeBack(kept);
    return true;
  }

  rollBack(): void {
    this.#changes.takeBack();
  }

  /** Its rows count, and the next one begins. */
  end(): void {
    this.#changes.decide();
    this.#changes.begin();
    this.#bytes = 0;
    this.#isReleased = false;
    if (this.#savepoints.size > 0) this.#savepoints.clear();
  }
}

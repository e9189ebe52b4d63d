import type { OutgoingMessage } from '../../../topics/port.ts';

/** The messages of one rows event. */
export interface HeldPart {
  messages: OutgoingMessage[];
  bytes: number;
  counted: { kind: string; rows: number };
}

/** Rows whose transaction is undecided yet, and the savepoints among them. */
export class HeldRows {
  /** Some were published undecided, for want of room. */
  isReleased = false;
  /** By what it may have changed rows that are not among these; null: by nothing. */
  unseen: string | null = null;
  #bytes = 0;
  #parts: HeldPart[] = [];
  /** By name: how many parts came before. */
  readonly #savepoints = new Map<string, number>();

  get bytes(): number {
    return this.#bytes;
  }

  add(part: HeldPart): void {
    this.#parts.push(part);
    this.#bytes += part.bytes;
  }

  savepoint(name: string): void {
    this.#savepoints.set(name, this.#parts.length);
  }

  /** Drops what came after the savepoint. False where that cannot be told: nothing is dropped. */
  rollBackTo(name: string): boolean {
    const kept = this.#savepoints.get(name);
    if (kept === undefined) return false;
    for (const { bytes } of this.#parts.splice(kept)) this.#bytes -= bytes;
    return true;
  }

  /** What is held, which it holds no longer. */
  take(): HeldPart[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    for (const name of this.#savepoints.keys()) this.#savepoints.set(name, 0);
    return parts;
  }
}

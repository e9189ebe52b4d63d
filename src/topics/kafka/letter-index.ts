import type { DeadLetter, KeptLetter, ReceivedMessage } from '../port.ts';

/** The header of a removal: the offset of the newest letter that it removes. */
export const REMOVES = 'removes';

/** Which letters of a partition are still there, by their offsets, as its messages are read in order. */
export class LetterIndex {
  /** The offset to read on from. */
  next: number;
  readonly #last = new Map<string, number>();
  /** Letters that count, with a removal after them that does not remove them. */
  readonly #hidden = new Set<string>();

  constructor(next: number) {
    this.next = next;
  }

  get size(): number {
    return this.#last.size;
  }

  take({ key, value, offset, headers }: ReceivedMessage): void {
    this.next = offset + 1;
    if (key === null) return;
    if (value !== null) {
      this.#last.set(key, offset);
      this.#hidden.delete(key);
      return;
    }
    const last = this.#last.get(key);
    if (last === undefined) return;
    const removes = headers[REMOVES];
    if (removes === undefined || last <= Number(removes)) this.#last.delete(key);
    else this.#hidden.add(key);
  }

  /** Whether this is the message of a letter that is there. */
  isLast({ key, offset }: ReceivedMessage): boolean {
    return key !== null && this.#last.get(key) === offset;
  }

  /** The offset of the letter, where the last message of its key is a removal of an older one. */
  hidden(id: string): number | null {
    return this.#hidden.has(id) ? (this.#last.get(id) ?? null) : null;
  }
}

/** null for what is no letter: somebody else wrote it. */
export function readLetter({ value, partition, offset }: ReceivedMessage): KeptLetter | null {
  try {
    const letter: unknown = JSON.parse(value ?? '');
    return isLetter(letter) ? { letter, version: `${partition}:${offset}` } : null;
  } catch {
    return null;
  }
}

function isLetter(value: unknown): value is DeadLetter {
  if (typeof value !== 'object' || value === null) return false;
  const { id, reason, time } = value as Partial<Record<keyof DeadLetter, unknown>>;
  return typeof id === 'string' && typeof reason === 'string' && typeof time === 'string';
}

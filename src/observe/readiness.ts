/** What has to work before a stream is ready. */
export type Part =
  'capture' | 'database' | 'dead letters' | 'group' | 'iterable' | 'resync' | 'topics';

export interface Trouble {
  part: Part;
  /** One sentence, without secrets or addresses. */
  reason: string;
  /** ISO time. */
  since: string;
}

/**
 * Which parts do not work, and since when. A part has troubles by what noticed them (`by`), each
 * ended by the one that began it: of two that watch the database, one must not end what the other
 * has seen.
 */
export class Readiness {
  readonly #now: () => number;
  readonly #troubles = new Map<string, Trouble>();

  /** `now`: epoch ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** What keeps the part from working, or null; a trouble keeps its beginning while it changes. */
  set(part: Part, by: string, reason: string | null): void {
    const key = `${part} ${by}`;
    if (reason === null) return void this.#troubles.delete(key);
    const since = this.#troubles.get(key)?.since ?? new Date(this.#now()).toISOString();
    this.#troubles.set(key, { part, reason, since });
  }

  /** One for each part that does not work, the oldest. */
  troubles(): Trouble[] {
    const parts = new Map<Part, Trouble>();
    for (const trouble of this.#troubles.values()) {
      const known = parts.get(trouble.part);
      if (known === undefined || trouble.since < known.since) parts.set(trouble.part, trouble);
    }
    return [...parts.values()];
  }
}

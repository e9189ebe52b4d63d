interface Waiting {
  holds: () => boolean;
  resolve: () => void;
}

/** Waiting for conditions: each is looked at again whenever something may have changed. */
export class Conditions {
  readonly #waiting: Waiting[] = [];

  /** Resolves once it holds; at that moment it holds still. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => this.#waiting.push({ holds, resolve }));
    }
  }

  /** Something has changed. */
  check(): void {
    const waiting = this.#waiting;
    for (let i = waiting.length - 1; i >= 0; i--) {
      const one = waiting[i];
      if (one?.holds() !== true) continue;
      waiting.splice(i, 1);
      one.resolve();
    }
  }
}

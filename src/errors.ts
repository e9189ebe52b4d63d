/** Wrong use or configuration: exit code 2. The message names the thing and the way out. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something needed could not be reached, or refused: exit code 3. One sentence, with what to do. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
  // Hidden, so that a log that shows an error whole does not say it twice.
  readonly #what: string;
  readonly #todo: string | null;

  constructor(what: string, { todo, ...options }: ErrorOptions & { todo?: string } = {}) {
    super(todo === undefined ? what : `${what}; ${todo}`, options);
    this.#what = what;
    this.#todo = todo ?? null;
  }

  /** What happened, and to what. */
  get what(): string {
    return this.#what;
  }

  /** What to do about it; null where `what` says it. */
  get todo(): string | null {
    return this.#todo;
  }
}

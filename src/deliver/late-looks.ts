import type { Clock, Timer } from '../model/clock.ts';
import { type LookAnswer, isGivenUp } from './looks.ts';
import { type Trigger, askedFor } from './trigger.ts';

/** A replica that lags for longer than this shows the row too late. */
export const LATE_MS = 60_000;
/** Some 100 bytes each. Who comes when there are as many is not looked at again. */
const USERS_MAX = 10_000;
/** Those who are due within this time go together. */
const STEP_MS = 1_000;

export interface LateLooksDeps {
  accept: (triggers: readonly Trigger[]) => void;
  clock: Clock;
}

/**
 * Looks at users once more, a minute after a look that was given up without proof: of a row that
 * no query shows nobody knows whether it was deleted, or is still on its way to the server that
 * answers. Kept in memory alone: the messages are finished, and an end of the program within the
 * minute leaves these looks out. A rebalance does not: whoever has the users now knows nothing of it.
 */
export class LateLooks {
  readonly #deps: LateLooksDeps;
  /** When each is due, monotonic ms, in that order. */
  readonly #dueMs = new Map<string, number>();
  #timer: Timer | null = null;

  constructor(deps: LateLooksDeps) {
    this.#deps = deps;
  }

  get users(): number {
    return this.#dueMs.size;
  }

  /** Notes the users of triggers that are given up by this answer. */
  note(triggers: readonly Trigger[], { rows, visibility }: LookAnswer): void {
    const nowMs = this.#deps.clock.now();
    const nowEpochMs = this.#deps.clock.epochMs();
    const chosen = new Map(rows.map(({ userId, pageViewId }) => [userId, pageViewId]));
    for (const trigger of triggers) {
      const { userId } = trigger;
      const view = chosen.get(userId) ?? null;
      if (!isGivenUp(trigger, view, visibility, nowMs, nowEpochMs)) continue;
      if (this.#dueMs.has(userId) || this.#dueMs.size >= USERS_MAX) continue;
      this.#dueMs.set(userId, nowMs + LATE_MS);
    }
    if (this.#dueMs.size > 0) this.#wait(LATE_MS);
  }

  /** Forgets them all: nobody looks any more. */
  clear(): void {
    this.#dueMs.clear();
    this.#timer?.cancel();
    this.#timer = null;
  }

  #wait(ms: number): void {
    this.#timer ??= this.#deps.clock.timer(ms, () => {
      this.#timer = null;
      this.#look();
    });
  }

  #look(): void {
    const nowMs = this.#deps.clock.now();
    const now = { ms: nowMs, epochMs: this.#deps.clock.epochMs() };
    const triggers: Trigger[] = [];
    for (const [userId, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) break;
      this.#dueMs.delete(userId);
      // It stands for no message: nothing waits for its end.
      triggers.push(askedFor(userId, now, () => undefined));
    }
    if (triggers.length > 0) this.#deps.accept(triggers);
    const [nextMs] = this.#dueMs.values();
    if (nextMs !== undefined) this.#wait(Math.max(STEP_MS, nextMs - nowMs));
  }
}

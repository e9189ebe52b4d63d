import { LookPace } from './look-pace.ts';

const RETRY_MS_FIRST = 200;
const RETRY_MS_MAX = 5_000;

/** Which looks are under way, and when the next one may begin. All times monotonic, in ms. */
export class LookTurns {
  readonly #looksMax: number;
  readonly #pace = new LookPace();
  #underWay = 0;
  /** In a row. */
  #failures = 0;
  #pausedUntilMs = 0;

  constructor(looksMax: number) {
    this.#looksMax = looksMax;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Whether none may begin: there are enough, or the last one has failed just now. */
  isPaused(nowMs: number): boolean {
    return this.#underWay >= this.#looksMax || nowMs < this.#pausedUntilMs;
  }

  /** How long it is better to let more users come together. */
  gatherMs(nowMs: number): number {
    return this.#pace.waitMs(nowMs);
  }

  /** Must be told to end, after `answered` or `failed`. */
  begin(nowMs: number): void {
    this.#underWay += 1;
    this.#pace.began(nowMs);
  }

  /** Returns whether the one before it has failed. */
  answered(tookMs: number): boolean {
    this.#pace.ended(tookMs);
    const hadFailed = this.#failures > 0;
    this.#failures = 0;
    return hadFailed;
  }

  /** Returns in how many ms it is to be tried again. */
  failed(nowMs: number): number {
    const delayMs = Math.min(RETRY_MS_FIRST * 2 ** this.#failures, RETRY_MS_MAX);
    this.#failures += 1;
    this.#pausedUntilMs = nowMs + delayMs;
    return delayMs;
  }

  end(): void {
    this.#underWay -= 1;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { CallGate } from './call-gate.ts';
import type { Endpoint, IterableHttp } from './http.ts';
import type { RateBudget } from './rate-budget.ts';
import type { Verdict } from './read-response.ts';
import { CALL_RETRIES, retryDelayMs } from './retry-schedule.ts';

/** What a call came to in the end: Iterable took it, or never will. */
export type Outcome = Extract<Verdict, { kind: 'ok' | 'refused' }>;

/** The program stops, so the call was given up; whether Iterable saw it is unknown. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
  constructor() {
    super('stopped');
  }
}

/** Asked before each try, and while it waits for its turn; attempts count from 1. */
export type IsWanted = (attempt: number) => boolean;

export interface CallsOptions {
  http: IterableHttp;
  gate: CallGate;
  budgets: Readonly<Record<Endpoint, RateBudget>>;
  random: () => number;
  /** Told of every answer: `status` is the HTTP status, or `error` when there was none. */
  onAnswer: (endpoint: Endpoint, status: number | 'error') => void;
}

/**
 * Calls that go on until Iterable has decided: within the rate budget, behind the gate, tried again
 * as long as the failure is worth it.
 */
export class IterableCalls {
  readonly #options: CallsOptions;
  readonly #stop = new AbortController();
  #inFlight = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Requests that are out now. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Resolves with what Iterable decided. Rejects with StoppedError after `stop`, and when
   * `isWanted` is false at the moment the call would start.
   */
  async call(endpoint: Endpoint, payload: unknown, isWanted: IsWanted = always): Promise<Outcome> {
    const body = JSON.stringify(payload);
    for (let attempt = 1; ; attempt++) {
      const verdict = await this.#once(endpoint, body, () => isWanted(attempt));
      if (verdict.kind === 'ok' || verdict.kind === 'refused') return verdict;
      const retryAfterMs = verdict.kind === 'retry' ? verdict.retryAfterMs : null;
      const random = this.#options.random();
      await this.#sleep(retryDelayMs(CALL_RETRIES, attempt, random, retryAfterMs));
    }
  }

  /** Gives up every call that waits; those whose request is out may end. */
  stop(): void {
    const reason = new StoppedError();
    this.#stop.abort(reason);
    this.#options.gate.close(reason);
    for (const budget of Object.values(this.#options.budgets)) budget.close(reason);
  }

  async #once(endpoint: Endpoint, body: string, isWanted: () => boolean): Promise<Verdict> {
    const { gate, budgets, http, onAnswer } = this.#options;
    const probe = await this.#admitted(gate, budgets[endpoint], isWanted);
    this.#inFlight += 1;
    const verdict = await http.post(endpoint, body);
    this.#inFlight -= 1;
    onAnswer(endpoint, verdict.status ?? 'error');
    if (verdict.status === 429) budgets[endpoint].leaveMoreRoom();
    gate.report(verdict, probe);
    return verdict;
  }

  /**
   * Through the gate and the budget; again when the gate has closed while the budget was waited
   * for. What is not wanted any more takes nothing from the budget.
   */
  async #admitted(gate: CallGate, budget: RateBudget, isWanted: () => boolean): Promise<boolean> {
    for (;;) {
      const probe = await gate.pass();
      try {
        if (!(await budget.take(isWanted))) throw new StoppedError();
      } catch (error) {
        gate.abandon(probe);
        throw error;
      }
      if (probe || gate.isOpen) return probe;
    }
  }

  async #sleep(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.#stop.signal });
    } catch {
      throw new StoppedError();
    }
  }
}

function always(): boolean {
  return true;
}

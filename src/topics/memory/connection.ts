import type { Clock } from '../../model/clock.ts';
import { UnavailableError } from '../../errors.ts';
import type { MemoryBroker } from './broker.ts';
import type { MemoryRequest } from './faults.ts';

const TRY_AGAIN_MS = 1_000;

/** The request was refused, or it is not known what became of it. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/**
 * The way from one process to the broker. Once it is killed, nothing that waits on it goes on: its
 * promises never settle, as those of a process that has died. What it had sent still arrives.
 */
export class Connection {
  readonly client: string;
  readonly clock: Clock;
  readonly #broker: MemoryBroker;
  #isDead = false;

  constructor(broker: MemoryBroker, client: string, clock: Clock) {
    this.#broker = broker;
    this.client = client;
    this.clock = clock;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  kill(): void {
    this.#isDead = true;
  }

  /**
   * Has `work` carried out at the broker. @throws NoAnswerError where it was refused, or no answer
   * came; the signal's reason as soon as it aborts.
   */
  request<T>(
    request: Omit<MemoryRequest, 'client'>,
    work: () => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#whileAlive(() => this.#carry(request, work), signal);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#whileAlive(() => this.clock.sleep(ms, signal));
  }

  /**
   * A request that is tried again each second. @throws UnavailableError after so many tries; the
   * signal's reason as soon as it aborts.
   */
  async ask<T>(
    request: Omit<MemoryRequest, 'client'>,
    work: () => T | Promise<T>,
    { triesMax, signal }: { triesMax: number; signal: AbortSignal },
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.request(request, work, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (tries < triesMax) {
          await this.sleep(TRY_AGAIN_MS, signal);
          continue;
        }
        const { message } = error as Error;
        throw new UnavailableError(`the topics in memory cannot be reached (${message})`, {
          cause: error,
        });
      }
    }
  }

  /** The network's way there and back; goes on without the one who waits for it. */
  async #carry<T>(request: Omit<MemoryRequest, 'client'>, work: () => T | Promise<T>): Promise<T> {
    const { clock, faults } = this.#broker;
    const passage = faults.passage({ ...request, client: this.client });
    // Killed while it was asked what becomes of the request: nothing was sent.
    if (this.#isDead) return new Promise<never>(() => undefined);
    const { thereMs, backMs, outcome } = passage;
    await clock.sleep(thereMs);
    const answer = outcome === 'answered' || outcome === 'unanswered' ? await work() : null;
    await clock.sleep(backMs);
    if (outcome !== 'answered') throw new NoAnswerError(`${request.kind}: ${outcome}`);
    return answer as T;
  }

  #whileAlive<T>(begin: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isDead) return;
      signal?.throwIfAborted();
      const abort = (): void => {
        if (!this.#isDead) reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      const settled = (settle: () => void): void => {
        signal?.removeEventListener('abort', abort);
        if (!this.#isDead) settle();
      };
      begin().then(
        (value) => settled(() => resolve(value)),
        (error: unknown) => settled(() => reject(error)),
      );
    });
  }
}

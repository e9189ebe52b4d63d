import type { SinkTrouble } from '../deliver/sink.ts';
import { UnavailableError } from '../errors.ts';
import type { IterableSettings } from '../settings/types.ts';

/** How long work with an end waits for a service that does not answer, before it exits 3. */
export const GIVE_UP_MS = 60_000;
const AGAIN = 'nothing is lost, run the command again (backfill: with --resume) when';

export interface GivingUpDeps {
  giveUpMs: number;
  iterable: Pick<IterableSettings, 'baseUrl' | 'timeoutMs'>;
  sink: () => {
    readonly trouble: SinkTrouble | null;
    /** For how long, in ms, Iterable has asked to be left alone; 0: it has not. */
    readonly askedToWaitMs: number;
  };
}

/** When work that has an end gives up what it needs: a sink, a database, its own files. */
export class GivingUp implements Disposable {
  readonly #deps: GivingUpDeps;
  readonly #fatal = Promise.withResolvers<never>();
  #error: UnavailableError | null = null;
  #databaseDownSinceMs: number | null = null;
  #sinkTimer: NodeJS.Timeout | null = null;

  constructor(deps: GivingUpDeps) {
    this.#deps = deps;
    this.#fatal.promise.catch(() => undefined);
  }

  /** Rejects with UnavailableError when there is no use in waiting any longer. */
  get fatal(): Promise<never> {
    return this.#fatal.promise;
  }

  /** Why it has given up, or null. */
  get error(): UnavailableError | null {
    return this.#error;
  }

  /** What keeps the sink from taking calls; null: nothing, from now on. */
  sinkTrouble(trouble: SinkTrouble | null): void {
    const url = this.#deps.iterable.baseUrl;
    if (trouble?.reason === 'key-refused') {
      return this.#giveUp(
        `Iterable at ${url} refuses the API key (${trouble.detail}); set ITERABLE_API_KEY to a server-side key of the project, and ITERABLE_API_BASE_URL to its data center`,
      );
    }
    if (trouble !== null) return this.#watchSink(this.#deps.giveUpMs);
    if (this.#sinkTimer !== null) clearTimeout(this.#sinkTimer);
    this.#sinkTimer = null;
  }

  /** Why the database did not answer just now; null: it did. */
  databaseTrouble(message: string | null): void {
    const now = performance.now();
    if (message === null) return void (this.#databaseDownSinceMs = null);
    this.#databaseDownSinceMs ??= now;
    const { giveUpMs } = this.#deps;
    if (now - this.#databaseDownSinceMs < giveUpMs) return;
    this.#giveUp(`the database has not answered for ${giveUpMs / 1000} s: ${message}`);
  }

  /** A dead letter was not kept in `giveUpMs`. */
  letterNotKept({ message }: Error): void {
    this.#giveUp(
      `a dead letter could not be kept for ${this.#deps.giveUpMs / 1000} s (${message}); ${AGAIN} it can be`,
    );
  }

  /** Without its record, nobody would know what was sent, so the work ends. */
  resultsNotWritten({ message }: Error, pending: number): void {
    this.#giveUp(`${message} (${pending} records are not in the file); ${AGAIN} it can be`);
  }

  [Symbol.dispose](): void {
    if (this.#sinkTimer !== null) clearTimeout(this.#sinkTimer);
  }

  /** Gives up after this time, but not before the time that Iterable has asked for is over. */
  #watchSink(ms: number): void {
    this.#sinkTimer ??= setTimeout(() => {
      this.#sinkTimer = null;
      const { giveUpMs, iterable, sink } = this.#deps;
      const { trouble, askedToWaitMs } = sink();
      if (askedToWaitMs > 0) return this.#watchSink(askedToWaitMs + iterable.timeoutMs);
      const detail = trouble?.detail ?? '';
      this.#giveUp(
        `Iterable at ${iterable.baseUrl} has not accepted a call for ${giveUpMs / 1000} s (${detail}); ${AGAIN} it is back`,
      );
    }, ms);
  }

  #giveUp(message: string): void {
    this.#error ??= new UnavailableError(message);
    this.#fatal.reject(this.#error);
  }
}

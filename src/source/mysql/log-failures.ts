import type { Clock } from '../../model/clock.ts';
import { isPositionGone } from './start.ts';

/** Server errors that end a connection, whatever it was used for: they say nothing of the log. */
const CONNECTION_ENDED = new Set([
  'ER_SERVER_SHUTDOWN',
  'ER_NEW_ABORTING_CONNECTION',
  'ER_ABORTING_CONNECTION',
  'ER_NET_PACKET_TOO_LARGE',
  'ER_NET_READ_ERROR',
  'ER_NET_READ_ERROR_FROM_PIPE',
  'ER_NET_READ_INTERRUPTED',
  'ER_NET_ERROR_ON_WRITE',
  'ER_NET_WRITE_INTERRUPTED',
  'ER_NET_PACKETS_OUT_OF_ORDER',
  'ER_NET_UNCOMPRESS_ERROR',
  'ER_CON_COUNT_ERROR',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_QUERY_INTERRUPTED',
  'ER_CONNECTION_KILLED',
  'ER_CLIENT_INTERACTION_TIMEOUT',
  'ER_MASTER_FATAL_ERROR_READING_BINLOG',
  'ER_SOURCE_FATAL_ERROR_READING_BINLOG',
]);

/** Whether it was the server's word on what it read, or what we made of it; and no broken link. */
function isAboutTheLog(error: unknown): boolean {
  const { code, sqlState } = error as { code?: unknown; sqlState?: unknown };
  if (typeof code !== 'string') return true;
  return typeof sqlState === 'string' && !CONNECTION_ENDED.has(code);
}

/** As often may the log fail at one position before all that follows it is given up there. */
const FAILURES_MAX = 3;

/** A look at everyone each time: a log that keeps failing must not make a storm of them. */
const ANEW_INTERVAL_MS = 60_000;

/** What becomes of a log that could not be read. */
export type LogVerdict =
  | { kind: 'again' }
  /** As `again`, but not before `waitMs`. */
  | { kind: 'later'; waitMs: number }
  /** `sentence`: why. */
  | { kind: 'anew'; sentence: string };

/**
 * Judges failures to read the log. What fails at the same position in the same way will not be mended
 * by trying for ever: after FAILURES_MAX, or at once where the server says that the position is gone,
 * it is a start anew, one in ANEW_INTERVAL_MS at most. Broken links are none of it.
 */
export class LogFailures {
  readonly #clock: Pick<Clock, 'now'>;
  #failure = '';
  #times = 0;
  #anewMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** `readTo`: how far the log was read. */
  judge(error: unknown, readTo: string): LogVerdict {
    const isGone = isPositionGone(error);
    if (!isGone && !isAboutTheLog(error)) return { kind: 'again' };
    const message = error instanceof Error ? error.message : String(error);
    const failure = `${readTo}\n${message}`;
    this.#times = failure === this.#failure ? this.#times + 1 : 1;
    this.#failure = failure;
    if (!isGone && this.#times < FAILURES_MAX) return { kind: 'again' };
    const waitMs = this.#anewMs + ANEW_INTERVAL_MS - this.#clock.now();
    if (waitMs > 0) return { kind: 'later', waitMs };
    this.#anewMs = this.#clock.now();
    return {
      kind: 'anew',
      sentence: isGone
        ? `the server no longer has the binlog of the saved place, or cannot read it (${message})`
        : `reading the binlog failed ${this.#times} times at the same place (${message})`,
    };
  }
}

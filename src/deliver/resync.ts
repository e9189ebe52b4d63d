import type { Clock } from '../model/clock.ts';
import type { Logger } from '../observe/logger.ts';
import { keyOf } from '../topics/key-of.ts';
import type { TopicOffset } from '../topics/port.ts';

const RETRY_MS = 2_000;

/** Why the group's offsets do not say any more what Iterable holds. */
export type ResyncCause = 'retention' | 'rule';

const BECAUSE: Readonly<Record<ResyncCause, string>> = {
  retention:
    'messages were deleted before this group read them (by retention, or with their topic)',
  rule: 'the rule, its time zone or the Iterable project is not the one that the saved offsets belong to (or an earlier version saved them)',
};

export interface ResyncDeps {
  /** Asks for a look at every eligible user, durably; returns early once `signal` has aborted. */
  lookAtEveryone: (cause: ResyncCause, signal: AbortSignal) => Promise<void>;
  commit: (places: readonly TopicOffset[]) => Promise<void>;
  /** Told of each try that failed, and with null when one has worked after that. */
  onTrouble: (error: unknown) => void;
  logger: Logger;
  clock: Clock;
}

interface Owed {
  places: readonly TopicOffset[];
  cause: ResyncCause;
}

/**
 * A look at everyone, owed by the partitions of this assignment. `isOwed` from the moment it is
 * asked for until the partitions' places are committed: whoever commits meanwhile would hide from a
 * later start, or from the next owner of the partitions, that it is still to be done.
 */
export class Resync {
  readonly #deps: ResyncDeps;
  #assignment = new AbortController();
  #owed: Owed[] = [];
  #isRunning = false;
  #isStopped = false;

  constructor(deps: ResyncDeps) {
    this.#deps = deps;
  }

  get isOwed(): boolean {
    return this.#owed.length > 0;
  }

  /** `places`: what to commit once everyone is asked for. */
  ask(places: readonly TopicOffset[], cause: ResyncCause): void {
    this.#deps.logger.warn(
      { partitions: places },
      `${BECAUSE[cause]}; all eligible users are looked at again`,
    );
    this.#owed.push({ places, cause });
    if (!this.#isRunning) void this.#run();
  }

  /** After an assignment: what is owed still is found again, by this member or by another. */
  forget(): void {
    this.#assignment.abort();
    this.#assignment = new AbortController();
    this.#owed = [];
  }

  /** What is owed remains so, and is found again at the next start. */
  stop(): void {
    this.#isStopped = true;
    this.#assignment.abort();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let hasFailed = false;
    while (this.#owed.length > 0 && !this.#isStopped) {
      const { signal } = this.#assignment;
      try {
        await this.#once(signal);
        if (hasFailed) this.#deps.onTrouble(null);
        hasFailed = false;
      } catch (error) {
        if (signal.aborted) continue;
        hasFailed = true;
        this.#deps.onTrouble(error);
        await this.#deps.clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
    if (hasFailed) this.#deps.onTrouble(null);
    this.#isRunning = false;
  }

  /**
   * One look at everyone is for all that is owed when it begins. Where more was asked for meanwhile,
   * the next one is for that as well, and nothing is committed before: a partition's place would
   * hide what it has lost since.
   */
  async #once(signal: AbortSignal): Promise<void> {
    const owed = [...this.#owed];
    const [first] = owed;
    if (first === undefined) return;
    await this.#deps.lookAtEveryone(first.cause, signal);
    if (signal.aborted || this.#owed.length > owed.length) return;
    await this.#deps.commit(newestPlaces(owed));
    if (signal.aborted) return;
    this.#owed = this.#owed.slice(owed.length);
    this.#deps.logger.info('a look at every eligible user is asked for');
  }
}

/** One of each partition. */
function newestPlaces(owed: readonly Owed[]): TopicOffset[] {
  const places = owed.flatMap((one) => one.places);
  return [...new Map(places.map((place) => [keyOf(place), place])).values()];
}

import { setTimeout as sleep } from 'node:timers/promises';

export interface ProbeOptions {
  /** Between two questions. */
  everyMs: number;
  /** What has not been answered by then does not answer; the first question has FIRST_MS_MAX. */
  lateMs: number;
  /** The reason that is told then. */
  late: string;
}

/** Connections are made for it, and a broker that just started has to wake up. */
const FIRST_MS_MAX = 5_000;

/**
 * Asks a part now and then whether it answers, so that it is known also while nobody needs it.
 * `onAnswer` is told why it does not, or null. `ask` has its own time limit; disposing waits for
 * no answer.
 */
export function probed(
  ask: () => Promise<unknown>,
  onAnswer: (reason: string | null) => void,
  { everyMs, lateMs, late }: ProbeOptions,
): Disposable {
  const ending = new AbortController();
  const { signal } = ending;
  void (async () => {
    for (let limitMs = Math.max(lateMs, FIRST_MS_MAX); !signal.aborted; limitMs = lateMs) {
      let isOut = true;
      // Where this process got no time, the answer may lie there unread: it is read before the check.
      const judge = (): void => void (isOut && !signal.aborted && onAnswer(late));
      const timer = setTimeout(() => setImmediate(judge), limitMs);
      const reason = await ask().then(
        () => null,
        (error: unknown) => (error as Error).message,
      );
      isOut = false;
      clearTimeout(timer);
      if (signal.aborted) return;
      onAnswer(reason);
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  })();
  return { [Symbol.dispose]: () => ending.abort() };
}

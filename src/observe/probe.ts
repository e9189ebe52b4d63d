import { setTimeout as sleep } from 'node:timers/promises';

const PROBE_EVERY_MS = 2_000;

/**
 * Asks a part now and then whether it answers, so that it is known also while nobody needs it.
 * `onAnswer` is told why it does not, or null. `ask` has its own time limit; disposing waits for
 * no answer.
 */
export function probed(
  ask: () => Promise<unknown>,
  onAnswer: (reason: string | null) => void,
): Disposable {
  const ending = new AbortController();
  const { signal } = ending;
  void (async () => {
    while (!signal.aborted) {
      const reason = await ask().then(
        () => null,
        (error: unknown) => (error as Error).message,
      );
      onAnswer(reason);
      await sleep(PROBE_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  })();
  return { [Symbol.dispose]: () => ending.abort() };
}

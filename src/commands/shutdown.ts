/** Why the program stops before its work is done. */
export type StopSignal = 'SIGINT' | 'SIGTERM';

/** Exit code of `backfill` and `replay` when they were stopped with more to send. */
export const STOPPED_EXIT_CODE = 130;

/** A clean stop takes ten seconds at most. */
const STOP_MS_MAX = 9_800;

export interface Shutdown extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
  signal: AbortSignal;
}

/**
 * `lateExitCode` ends the process when a clean stop has not come to its end in time: whatever is
 * not saved then is repeated after the next start.
 */
export function listenForSignals(
  onFirst: (name: StopSignal) => void,
  lateExitCode: number,
): Shutdown {
  const controller = new AbortController();
  const onSignal = (name: StopSignal): void => {
    if (controller.signal.aborted) process.exit(STOPPED_EXIT_CODE);
    onFirst(name);
    setTimeout(() => process.exit(lateExitCode), STOP_MS_MAX).unref();
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

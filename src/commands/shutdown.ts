/** Why the program stops before its work is done. */
export type StopSignal = 'SIGINT' | 'SIGTERM';

/** Exit code of `backfill` and `replay` when they were stopped with more to send. */
export const STOPPED_EXIT_CODE = 130;

export interface Shutdown extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
  signal: AbortSignal;
}

export function listenForSignals(onFirst: (name: StopSignal) => void): Shutdown {
  const controller = new AbortController();
  const onSignal = (name: StopSignal): void => {
    if (controller.signal.aborted) process.exit(STOPPED_EXIT_CODE);
    onFirst(name);
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

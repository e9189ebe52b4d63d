/** Waits for `work`, but ends early (false) when `signal` aborts. Rejects as `fatal` does. */
export async function untilStopped(
  work: Promise<void>,
  fatal: Promise<never>,
  signal: AbortSignal,
): Promise<boolean> {
  const timer = new AbortController();
  const stopped = new Promise<false>((resolve) => {
    if (signal.aborted) resolve(false);
    signal.addEventListener('abort', () => resolve(false), { once: true, signal: timer.signal });
  });
  try {
    return await Promise.race([work.then(() => true), fatal, stopped]);
  } finally {
    timer.abort();
  }
}

/**
 * The promise's outcome, or a rejection as soon as `signal` aborts, or after `msMax` with `late`.
 * What becomes of the promise then is nobody's concern any more.
 */
export async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  msMax: number,
  late: () => Error,
): Promise<T> {
  promise.catch(() => undefined);
  signal.throwIfAborted();
  const given = Promise.withResolvers<never>();
  const abort = (): void => given.reject(signal.reason as Error);
  const timer = setTimeout(() => given.reject(late()), msMax);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, given.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

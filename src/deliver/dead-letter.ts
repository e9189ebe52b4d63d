import type { Clock } from '../model/clock.ts';
import type { DeadLetter, DeadLetterStore } from '../topics/port.ts';
import { SET_ASIDE } from './delivery.ts';
import type { Delivery } from './sink.ts';

const KEEP_RETRY_MS = 1_000;

/** The dead letter of a delivery that was refused, or null where nothing was. */
export function deadLetterOf(delivery: Delivery, nowEpochMs: number): DeadLetter | null {
  const refused = delivery.calls.filter(({ outcome }) => outcome.kind === 'refused');
  const [first] = refused;
  if (first?.outcome.kind !== 'refused') return null;
  const { status, code, message } = first.outcome;
  const letter = {
    id: `page-view-${delivery.user.pageViewId}`,
    userId: delivery.user.userId,
    pageViewId: delivery.user.pageViewId,
    status: status === 0 ? null : status,
    code,
    time: new Date(nowEpochMs).toISOString(),
  };
  if (code === SET_ASIDE) return { ...letter, reason: `set-aside: ${first.name} ${message}` };
  const calls = refused.map(({ name }) => name).join(' and ');
  const http = status === 0 ? '' : ` with HTTP ${status}${code === null ? '' : ` ${code}`}`;
  return { ...letter, reason: `${calls} refused${http}${message === '' ? '' : `: ${message}`}` };
}

/**
 * Keeps dead letters, trying until they are durable.
 * @throws the store's last error once `signal` has aborted.
 */
export async function keepDeadLetters(
  store: Pick<DeadLetterStore, 'add'>,
  letters: readonly DeadLetter[],
  signal: AbortSignal,
  clock: Clock,
): Promise<void> {
  for (;;) {
    try {
      return await store.add(letters);
    } catch (error) {
      await clock.sleep(KEEP_RETRY_MS, signal).catch(() => undefined);
      if (signal.aborted) throw error;
    }
  }
}

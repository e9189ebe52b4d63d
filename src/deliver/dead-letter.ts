import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '../sinks/iterable/calls.ts';
import type { DeadLetter, DeadLetterStore } from '../topics/port.ts';
import { SET_ASIDE, type UserDelivery } from './deliver-user.ts';

const KEEP_RETRY_MS = 1_000;

function refusal(delivery: UserDelivery): { outcome: Outcome; call: string } | null {
  const { update, track } = delivery;
  if (update.kind === 'refused') return { outcome: update, call: 'users/update' };
  if (track.kind === 'refused') return { outcome: track, call: 'events/track' };
  return null;
}

/** The dead letter of a delivery that was refused, or null where nothing was. */
export function deadLetterOf(delivery: UserDelivery, nowEpochMs: number): DeadLetter | null {
  const refused = refusal(delivery);
  if (refused === null || refused.outcome.kind !== 'refused') return null;
  const { status, code, message } = refused.outcome;
  const letter = {
    id: `page-view-${delivery.user.pageViewId}`,
    userId: delivery.user.userId,
    pageViewId: delivery.user.pageViewId,
    status: status === 0 ? null : status,
    code,
    time: new Date(nowEpochMs).toISOString(),
  };
  if (code === SET_ASIDE) return { ...letter, reason: `set-aside: ${refused.call} ${message}` };
  const both = delivery.update.kind === 'refused' && delivery.track.kind === 'refused';
  const calls = both ? 'users/update and events/track' : refused.call;
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
): Promise<void> {
  for (;;) {
    try {
      return await store.add(letters);
    } catch (error) {
      await sleep(KEEP_RETRY_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) throw error;
    }
  }
}

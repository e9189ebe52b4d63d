import type { IsWanted, IterableCalls, Outcome } from '../iterable/calls.ts';
import { hasUsableEmail, trackedEvent, userUpdate } from '../iterable/payloads.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';

/** What both calls for one user came to. */
export interface UserDelivery {
  user: EligibleUser;
  update: Outcome;
  track: Outcome;
}

export const NO_EMAIL: Outcome = {
  kind: 'refused',
  status: 0,
  code: 'NoUsableEmail',
  message: 'the customer has no usable e-mail address',
  body: null,
};

export function isSent(delivery: UserDelivery): boolean {
  return delivery.update.kind === 'ok' && delivery.track.kind === 'ok';
}

/**
 * users/update and, when it has ended either way, events/track. A user without a usable e-mail
 * address is refused without a call. Rejects with StoppedError only: when `isWanted` is false
 * before a try of the first call, or when the program stops. What has begun is not left half done.
 */
export async function deliverUser(
  calls: IterableCalls,
  user: EligibleUser,
  isWanted?: IsWanted,
): Promise<UserDelivery> {
  if (!hasUsableEmail(user)) return { user, update: NO_EMAIL, track: NO_EMAIL };
  const update = await calls.call('/api/users/update', userUpdate(user), isWanted);
  const track = await calls.call('/api/events/track', trackedEvent(user));
  return { user, update, track };
}

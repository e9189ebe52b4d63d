import type { Caller } from '../sinks/iterable/caller.ts';
import type { Failure, IsWanted, IterableCalls, Outcome } from '../sinks/iterable/calls.ts';
import { hasUsableEmail, trackedEvent, userUpdate } from '../sinks/iterable/payloads.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';

/** What both calls for one user came to. */
export interface UserDelivery {
  user: EligibleUser;
  update: Outcome;
  track: Outcome;
}

/** A try in which one of the calls failed: both are due again. */
export interface FailedDelivery {
  user: EligibleUser;
  /** What users/update came to, where it was events/track that failed. */
  update: Outcome | null;
  failure: Failure;
}

export const NO_EMAIL: Outcome = {
  kind: 'refused',
  status: 0,
  code: 'NoUsableEmail',
  message: 'the customer has no usable e-mail address',
  body: null,
};

/** The code of a delivery that was given up: its calls kept failing while others' succeeded. */
export const SET_ASIDE = 'set-aside';

const NOT_TRIED: Outcome = {
  kind: 'refused',
  status: 0,
  code: SET_ASIDE,
  message: 'not tried, since users/update did not get through',
  body: null,
};

export function isSent(delivery: UserDelivery): boolean {
  return delivery.update.kind === 'ok' && delivery.track.kind === 'ok';
}

/** What a user that is set aside came to, after so many tries in `failingMs` ms. */
export function setAside(
  { user, update, failure }: FailedDelivery,
  tries: number,
  failingMs: number,
): UserDelivery {
  const last = `${failure.status === null ? '' : `HTTP ${failure.status} `}${failure.message}`;
  const given: Outcome = {
    kind: 'refused',
    status: failure.status ?? 0,
    code: SET_ASIDE,
    message: `failed ${tries} times in ${Math.round(failingMs / 1000)} s while others got through; last: ${last.trim()}`,
    body: null,
  };
  if (update === null) return { user, update: given, track: NOT_TRIED };
  return { user, update, track: given };
}

/**
 * users/update and, when it has ended either way, events/track. A user without a usable e-mail
 * address is refused without a call. Rejects with StoppedError only: when `isWanted` is false
 * before a try of the first call, or when the program stops. `isRetry`: the user's last try failed.
 */
export async function deliverUser(
  calls: Pick<IterableCalls, 'call'>,
  user: EligibleUser,
  isWanted?: IsWanted,
  isRetry = false,
): Promise<UserDelivery | FailedDelivery> {
  if (!hasUsableEmail(user)) return { user, update: NO_EMAIL, track: NO_EMAIL };
  const caller: Caller = { id: user.userId, isRetry };
  const update = await calls.call('/api/users/update', userUpdate(user), caller, isWanted);
  if (update.kind === 'failed') return { user, update: null, failure: update };
  const track = await calls.call('/api/events/track', trackedEvent(user), caller);
  if (track.kind === 'failed') return { user, update, failure: track };
  return { user, update, track };
}

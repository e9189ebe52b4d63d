import type { Call, Delivery, FailedDelivery, Refused } from './sink.ts';

/** The code of a delivery that was given up: its calls kept failing while others' succeeded. */
export const SET_ASIDE = 'set-aside';

export function isSent({ calls }: Delivery): boolean {
  return calls.every(({ outcome }) => outcome.kind === 'ok');
}

/** Whether the sink took the first call: then it knows the user, whatever became of the others. */
export function isKnownToSink({ calls: [first] }: Delivery): boolean {
  return first?.outcome.kind === 'ok';
}

/** What a user that is set aside came to, after so many tries in `failingMs` ms. */
export function setAside(failed: FailedDelivery, tries: number, failingMs: number): Delivery {
  const { user, calls, failedCall, failure, notTried } = failed;
  const last = `${failure.status === null ? '' : `HTTP ${failure.status} `}${failure.message}`;
  const given = `failed ${tries} times in ${Math.round(failingMs / 1000)} s while others got through; last: ${last.trim()}`;
  const left = `not tried, since ${failedCall} did not get through`;
  return {
    user,
    calls: [
      ...calls,
      givenUp(failedCall, given, failure.status ?? 0),
      ...notTried.map((name) => givenUp(name, left, 0)),
    ],
  };
}

function givenUp(name: string, message: string, status: number): Call {
  const outcome: Refused = { kind: 'refused', status, code: SET_ASIDE, message, body: null };
  return { name, outcome };
}

/** A call's name as a field of JSON: `users_update` of `users/update`. */
export function callField(name: string): string {
  return name.replace('/', '_');
}

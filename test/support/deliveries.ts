import type { Call, Outcome } from '../../src/deliver/sink.ts';

/** The two calls for a user, as the sink names them. */
export function callsOf(update: Outcome, track: Outcome): Call[] {
  return [
    { name: 'users/update', outcome: update },
    { name: 'events/track', outcome: track },
  ];
}

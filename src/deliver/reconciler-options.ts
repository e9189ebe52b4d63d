import { PATIENCE } from './failing-users.ts';
import type { LookAnswer } from './looks.ts';
import type { SendingDeps, SendingOptions } from './sending.ts';
import type { Trigger, TriggerOutcome } from './trigger.ts';

export interface ReconcilerDeps extends SendingDeps {
  /** What the rule says of these users now, and what can be seen of the triggers: of one server. */
  look: (userIds: readonly string[], triggers: readonly Trigger[]) => Promise<LookAnswer>;
  /** Told of a look that found nothing to send for these triggers, before they are finished. */
  onPassedOver?: (
    userId: string,
    pageViewId: string | null,
    outcome: TriggerOutcome,
    triggers: readonly Trigger[],
  ) => void;
  /** Told when a look fails (the database), and with null when one works again. */
  onTrouble: (error: unknown) => void;
}

export interface ReconcilerOptions extends SendingOptions {
  usersPerLookMax: number;
  looksMax: number;
  deliveriesMax: number;
  /** Of those, how many may be of users whose last try failed: the others' places stay free. */
  retriesMax: number;
  /** Users with triggers unfinished, but those whose last try failed; `room` waits at as many. */
  usersMax: number;
  /** Users whose last try failed; the same. */
  failingUsersMax: number;
  /** Triggers unfinished, at some 400 bytes each; the same. */
  triggersMax: number;
}

export const RECONCILER_DEFAULTS: ReconcilerOptions = {
  usersPerLookMax: 200,
  looksMax: 3,
  deliveriesMax: 1000,
  retriesMax: 100,
  usersMax: 20_000,
  failingUsersMax: 20_000,
  triggersMax: 100_000,
  verifies: false,
  asksWhetherThere: false,
  patience: PATIENCE,
};

/** No more users than this, and than pass in this time, wait for their turn with an answer. */
const WAITING_MAX = 200;
const WAITING_SECONDS_MAX = 0.4;

/** What is under way when the reconciler asks how many users it may take. */
export interface Load {
  queued: number;
  /** Of the sink's pace. */
  waiting: number;
  perSecond: number;
  deliveries: number;
  /** Deliveries, and looks before them, of users whose last try failed. */
  retries: number;
}

/** How many users to take now; 0 when it is better to wait and let more come together. */
export function placesForUsers(load: Load, options: ReconcilerOptions): number {
  const { usersPerLookMax, deliveriesMax } = options;
  const waitingMax = waitingUsersMax(load.perSecond);
  const free = Math.min(
    waitingMax - load.waiting,
    deliveriesMax - load.deliveries,
    usersPerLookMax,
  );
  const enough = Math.min(enoughForALook(options), waitingMax / 4);
  return free >= Math.min(load.queued, enough) ? free : 0;
}

/** So many users are not made to wait until there are more. */
export function enoughForALook({ usersPerLookMax, deliveriesMax }: ReconcilerOptions): number {
  return Math.min(usersPerLookMax, deliveriesMax) / 4;
}

/** The same as placesForUsers, for users whose last try failed. */
export function placesBehind({ retries }: Load, options: ReconcilerOptions): number {
  return Math.max(0, Math.min(options.retriesMax - retries, options.usersPerLookMax));
}

function waitingUsersMax(perSecond: number): number {
  if (perSecond === 0) return WAITING_MAX;
  return Math.min(Math.max(1, Math.round(perSecond * WAITING_SECONDS_MAX)), WAITING_MAX);
}

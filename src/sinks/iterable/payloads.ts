import type { Call, Refused } from '../../deliver/sink.ts';
import type { DataFields, EligibleUser } from '../../rule/eligible-user.ts';

export interface UserUpdate {
  email: string;
  dataFields: DataFields;
}

export interface TrackedEvent {
  email: string;
  eventName: 'page_view';
  /** `page-view-<page_views.id>`: sending it again changes nothing. */
  id: string;
  /** Epoch seconds. */
  createdAt: number;
  dataFields: DataFields;
}

/** An eligible user whose e-mail address can be sent. */
export type Deliverable = EligibleUser & { email: string };

/** Whether Iterable could take the address at all; what is left to judge, Iterable judges. */
export function hasUsableEmail(user: EligibleUser): user is Deliverable {
  const { email } = user;
  if (email === null || email.length > 255) return false;
  return /^[^\s@\p{Cc}\p{Cf}\p{Cs}]+@[^\s@\p{Cc}\p{Cf}\p{Cs}]+$/u.test(email);
}

/** The body of users/update. NULL columns are left out. */
export function userUpdate(user: Deliverable): UserUpdate {
  return { email: user.email, dataFields: user.profile };
}

/** The body of events/track. NULL columns are left out. */
export function trackedEvent(user: Deliverable): TrackedEvent {
  return {
    email: user.email,
    eventName: 'page_view',
    id: `page-view-${user.pageViewId}`,
    createdAt: user.eventEpochSeconds,
    dataFields: user.event,
  };
}

/** The calls for one user, in their order: the event follows the profile that it belongs to. */
export const USER_CALLS = [
  {
    name: 'users/update',
    endpoint: '/api/users/update',
    payload: userUpdate,
    bulkEndpoint: '/api/users/bulkUpdate',
    bulkPayload: (users: readonly Deliverable[]) => ({ users: users.map(userUpdate) }),
  },
  {
    name: 'events/track',
    endpoint: '/api/events/track',
    payload: trackedEvent,
    bulkEndpoint: '/api/events/trackBulk',
    bulkPayload: (users: readonly Deliverable[]) => ({ events: users.map(trackedEvent) }),
  },
] as const;

export type UserCall = (typeof USER_CALLS)[number];

const NO_EMAIL: Refused = {
  kind: 'refused',
  status: 0,
  code: 'NoUsableEmail',
  message: 'the customer has no usable e-mail address',
  body: null,
};

/** What becomes of a user whose address can't be sent, without a call. */
export const REFUSED_UNSENT: readonly Call[] = USER_CALLS.map(({ name }) => ({
  name,
  outcome: NO_EMAIL,
}));

/** What would be sent for a user, by the names of the calls; null where nothing can be. */
export function payloadsOf(user: EligibleUser): { name: string; payload: object }[] | null {
  if (!hasUsableEmail(user)) return null;
  return USER_CALLS.map(({ name, payload }) => ({ name, payload: payload(user) }));
}

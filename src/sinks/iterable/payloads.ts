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

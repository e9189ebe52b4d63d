import type { ColumnValue, EligibleUser } from '../rule/eligible-user.ts';

type DataFields = Record<string, ColumnValue>;

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

function withoutNulls(fields: DataFields): DataFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** The body of users/update. NULL columns are left out. */
export function userUpdate(user: Deliverable): UserUpdate {
  return {
    email: user.email,
    dataFields: withoutNulls({
      first_name: user.firstName,
      last_name: user.lastName,
      plan_type: user.planType,
      recent_page_view: true,
      candidate: user.candidate,
    }),
  };
}

/** The body of events/track. NULL columns are left out. */
export function trackedEvent(user: Deliverable): TrackedEvent {
  return {
    email: user.email,
    eventName: 'page_view',
    id: `page-view-${user.pageViewId}`,
    createdAt: user.eventEpochSeconds,
    dataFields: withoutNulls({
      page: user.page,
      device: user.device,
      location: user.location,
      timestamp: user.eventTime,
      candidate: user.candidate,
    }),
  };
}

/** The two messages that capture writes, and their encoding (the contract's topics 1 and 2). */

export const PAGE_VIEW_SCHEMA = 'page_view/1';
export const USER_CHANGE_SCHEMA = 'user_change/1';

/** A `page_views` row. Ids above 2^53 are strings; `event_time` is UTC, `YYYY-MM-DDTHH:MM:SSZ`. */
export interface PageViewValue {
  id: number | string;
  user_id: number | string;
  page: string | null;
  device: string | null;
  browser: string | null;
  location: string | null;
  event_time: string | null;
}

/** Why a user has to be looked at again. */
export type UserChangeCause =
  | 'customers.insert'
  | 'customers.update'
  | 'customers.delete'
  | 'page_views.update'
  | 'page_views.delete'
  | 'backfill';

export interface UserChangeValue {
  user_id: number | string;
  cause: UserChangeCause;
}

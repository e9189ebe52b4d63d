/** What the two messages that capture writes say of themselves (README, "Use"). */

export const PAGE_VIEW_SCHEMA = 'page_view/1';
export const USER_CHANGE_SCHEMA = 'user_change/1';

/** Why a user has to be looked at again. */
export const USER_CHANGE_CAUSES = [
  'customers.insert',
  'customers.update',
  'customers.delete',
  'page_views.update',
  'page_views.delete',
  'backfill',
  /** Its row is in the table and not in the binlog. */
  'audit',
  /** Its table was changed by what the log does not tell row by row: a definition, a cascade. */
  'ddl',
  /** Its message may have been deleted before it was read. */
  'retention',
  /** It was judged by another rule, or sent to another project. */
  'rule',
] as const;
export type UserChangeCause = (typeof USER_CHANGE_CAUSES)[number];

/** A column's value as it goes into dataFields. */
export type ColumnValue = string | number | boolean | null;

/** One row of the rule: a user, and the latest view that makes the user eligible. */
export interface EligibleUser {
  /** Decimal. */
  userId: string;
  email: string | null;
  firstName: ColumnValue;
  lastName: ColumnValue;
  planType: ColumnValue;
  candidate: ColumnValue;
  /** Decimal. */
  pageViewId: string;
  page: ColumnValue;
  device: ColumnValue;
  location: ColumnValue;
  /** `YYYY-MM-DD HH:MM:SS` in DB_TIME_ZONE. */
  eventTime: string;
  eventEpochSeconds: number;
}

function columnValue(value: unknown): ColumnValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  return JSON.stringify(value);
}

/** Reads a row of `sql/rule.sql`. Fractions of a second are cut off, as the contract's times are. */
export function toEligibleUser(row: Readonly<Record<string, unknown>>): EligibleUser {
  const email = columnValue(row['email']);
  return {
    userId: String(row['id']),
    email: email === null ? null : String(email),
    firstName: columnValue(row['first_name']),
    lastName: columnValue(row['last_name']),
    planType: columnValue(row['plan_type']),
    candidate: columnValue(row['candidate']),
    pageViewId: String(row['page_view_id']),
    page: columnValue(row['page']),
    device: columnValue(row['device']),
    location: columnValue(row['location']),
    eventTime: String(row['event_time']).slice(0, 19),
    eventEpochSeconds: Math.floor(Number(row['event_epoch'])),
  };
}

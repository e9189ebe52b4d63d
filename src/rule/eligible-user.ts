import { EVENT_MARK, PROFILE_MARK } from '../model/data-model.ts';
import type { FieldSource, Fields } from '../model/found.ts';
import { type FieldValue, fieldValue } from '../model/values.ts';

export type DataFields = Readonly<Record<string, FieldValue>>;

/** One row of the rule: a user, and the latest view that makes the user eligible. */
export interface EligibleUser {
  /** Decimal. */
  userId: string;
  email: string | null;
  /** The dataFields of users/update: those of PROFILE_FIELDS, and recent_page_view. */
  profile: DataFields;
  /** Decimal. */
  pageViewId: string;
  /** The dataFields of events/track: those of EVENT_FIELDS, and timestamp. */
  event: DataFields;
  eventEpochSeconds: number;
}

/** What is always there stands before this field, and at the end where this one is not among them. */
const AFTER_MARK = 'candidate';

type Row = Readonly<Record<string, unknown>>;
type Read = (row: Row) => FieldValue;

/** What makes users of the rule's rows. `aliasOf`: what a row calls a field's column. */
export function userReader(
  fields: Fields,
  aliasOf: (source: FieldSource) => string,
): (row: Row) => EligibleUser {
  const reads = (sources: readonly FieldSource[], mark: string, read: Read): [string, Read][] => {
    const all = sources.map((source): [string, Read] => {
      const alias = aliasOf(source);
      const { kind } = source.column;
      return [source.field, (row) => fieldValue(kind, row[alias])];
    });
    const at = sources.findIndex(({ field }) => field === AFTER_MARK);
    return all.toSpliced(at < 0 ? all.length : at, 0, [mark, read]);
  };
  const profile = reads(fields.profile, PROFILE_MARK, () => true);
  const event = reads(fields.event, EVENT_MARK, (row) => fieldValue('time', row['event_time']));
  return (row) => {
    const email = fieldValue('text', row['email']);
    return {
      userId: String(row['id']),
      email: email === null ? null : String(email),
      profile: dataFields(profile, row),
      pageViewId: String(row['page_view_id']),
      event: dataFields(event, row),
      eventEpochSeconds: Math.floor(Number(row['event_epoch'])),
    };
  };
}

/** NULL columns are left out. */
function dataFields(reads: readonly [string, Read][], row: Row): DataFields {
  const values: [string, FieldValue][] = [];
  for (const [field, read] of reads) {
    const value = read(row);
    if (value !== null) values.push([field, value]);
  }
  return Object.fromEntries(values);
}

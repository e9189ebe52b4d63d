import type { OurTable } from '../model/columns.ts';
import {
  type ColumnNames,
  DEFAULT_MODEL,
  type DataModel,
  isSameColumn,
  tableNamed,
} from '../model/data-model.ts';
import type { TopicFormat } from '../settings/types.ts';
import type { ReceivedMessage } from '../topics/port.ts';
import { ASKED, CHANGED, type Trigger, viewInserted } from './trigger.ts';

/** What a message says of a trigger. */
export interface ReadTrigger extends Pick<Trigger, 'userId' | 'cause'> {
  /** Of an inserted page view. */
  page: string | null;
  /** The transaction's GTID, where the message itself has one. */
  gtid?: string;
}

export type Reading =
  | { kind: 'triggers'; triggers: ReadTrigger[] }
  /** Nothing in it concerns the rule (another table, a tombstone, a heartbeat). */
  | { kind: 'nothing' }
  /** A dead letter; `problem` names what is wrong, without the content. */
  | { kind: 'unreadable'; problem: string };

type Json = Readonly<Record<string, unknown>>;

const NOTHING: Reading = { kind: 'nothing' };

class Unreadable extends Error {}

/** Integers above 2^53 are kept to the digit, as strings. */
function parseExact(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text) as unknown;
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? (context?.source ?? value)
      : value,
  ) as unknown;
}

function asObject(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Unreadable(`${what} is not an object`);
  }
  return value as Json;
}

/** How the row spells this column; null: it has none. */
function keyOf(row: Json, column: string): string | null {
  if (Object.hasOwn(row, column)) return column;
  return Object.keys(row).find((key) => isSameColumn(key, column)) ?? null;
}

function get(row: Json, column: string): unknown {
  const key = keyOf(row, column);
  if (key === null) throw new Unreadable(`the field ${column} is missing`);
  return row[key];
}

/** Unsigned 64-bit at most, as MySQL's ids are. */
function id(row: Json, field: string): string {
  const value = get(row, field);
  // A number that is not safe was rounded when it was read (9.007199254740993e15 was).
  const isText = typeof value === 'string' || Number.isSafeInteger(value);
  const text = isText ? String(value) : '';
  if (!/^\d{1,20}$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn) {
    throw new Unreadable(`the field ${field} is not an id`);
  }
  return BigInt(text).toString();
}

/** `names`: what the columns are called in the message. */
function viewTrigger(row: Json, names: ColumnNames['page_views']): ReadTrigger {
  const page = get(row, names.page);
  if (page !== null && typeof page !== 'string') {
    throw new Unreadable(`the field ${names.page} is not text`);
  }
  return { userId: id(row, names.user_id), cause: viewInserted(id(row, names.id)), page };
}

function changeTriggers(rows: readonly unknown[], field: string): ReadTrigger[] {
  const userIds = rows
    .filter((row) => row !== null && row !== undefined)
    .map((row) => id(asObject(row, 'the row'), field));
  // A change of no row at all would be passed over in silence.
  if (userIds.length === 0) throw new Unreadable('there is no row in it');
  return [...new Set(userIds)].map((userId) => ({ userId, cause: CHANGED, page: null }));
}

/** A row of one of the two tables, as a change data capture tool reports it. */
function tableChange(
  { columns }: DataModel,
  table: OurTable | null,
  isInsert: boolean,
  after: unknown,
  before: unknown,
): Reading {
  if (table === null) return NOTHING;
  if (table === 'page_views' && isInsert) {
    const trigger = viewTrigger(asObject(after, 'the row'), columns.page_views);
    return { kind: 'triggers', triggers: [trigger] };
  }
  return {
    kind: 'triggers',
    triggers: changeTriggers([after, before], userColumn(columns, table)),
  };
}

/** The column that says whom a row is about. */
const userColumn = (columns: ColumnNames, table: OurTable): string =>
  table === 'customers' ? columns.customers.id : columns.page_views.user_id;

function partOf(row: Json, field: string): Json | null {
  const value = row[field];
  return typeof value === 'object' && value !== null ? (value as Json) : null;
}

/** The GTID that others write into the message, as far as they were told to. */
function gtidOf(value: Json): string | null {
  const payload = partOf(value, 'payload') ?? value;
  const source = partOf(payload, 'source');
  const gtid = source?.['gtid'] ?? payload['__source_gtid'] ?? payload['gtid'];
  return typeof gtid === 'string' && gtid !== '' ? gtid : null;
}

function withGtid(reading: Reading, gtid: string | null): Reading {
  if (reading.kind !== 'triggers' || gtid === null) return reading;
  return { ...reading, triggers: reading.triggers.map((trigger) => ({ ...trigger, gtid })) };
}

/** Our own messages: page_view/1 and user_change/1 (told apart by the field `cause`). */
function readOwn(value: Json): Reading {
  if (Object.hasOwn(value, 'cause')) {
    const cause = value['cause'] === 'backfill' ? ASKED : CHANGED;
    return { kind: 'triggers', triggers: [{ userId: id(value, 'user_id'), cause, page: null }] };
  }
  get(value, 'event_time');
  return { kind: 'triggers', triggers: [viewTrigger(value, DEFAULT_MODEL.columns.page_views)] };
}

/** JSON text without an escape in it. */
const PLAIN = String.raw`"([^"\\\x00-\x1f]*)"`;
const TEXT = `(?:null|${PLAIN.replace(/[()]/g, '')})`;
/** Ids are short, so that V8 copies them: as a part of the text they would keep all of it. */
const ID = String.raw`(0|[1-9]\d{0,11})`;
const OWN_VIEW = new RegExp(
  `^{"id":${ID},"user_id":${ID},"page":${PLAIN},"device":${TEXT},"browser":${TEXT},` +
    `"location":${TEXT},"event_time":${PLAIN}}$`,
);

/** A page view, as far as it is needed. */
export interface ScannedView extends ReadTrigger {
  eventTime: string;
}

/**
 * A page view of our own form, read without parsing it: that takes a fraction of the time. null
 * where it is anything that JSON could read otherwise; then it is to be parsed.
 */
export function scanOwnView(value: string): ScannedView | null {
  const match = OWN_VIEW.exec(value);
  if (match === null) return null;
  const [, viewId = '', userId = '', page = '', eventTime = ''] = match;
  return { userId, cause: viewInserted(viewId), page, eventTime };
}

/**
 * Debezium's JSON converter, with or without its schema, and the form that its
 * ExtractNewRecordState transform flattens it to.
 * https://debezium.io/documentation/reference/stable/connectors/mysql.html#mysql-events
 */
function readDebezium(value: Json, model: DataModel): Reading {
  const hasSchema = Object.hasOwn(value, 'payload') && Object.hasOwn(value, 'schema');
  if (hasSchema && value['payload'] === null) return NOTHING;
  const payload = hasSchema ? asObject(value['payload'], 'payload') : value;
  if (!Object.hasOwn(payload, 'op')) {
    if (Object.hasOwn(payload, 'ts_ms') && !hasId(payload, model)) return NOTHING;
    const isDeleted = payload['__deleted'] === 'true' || payload['__deleted'] === true;
    const op = payload['__op'];
    const isInsert = !isDeleted && (op === undefined || op === 'c' || op === 'r');
    const named = payload['__table'];
    const table = named === undefined ? 'page_views' : tableNamed(model, String(named));
    return tableChange(model, table, isInsert, payload, null);
  }
  const op = payload['op'];
  if (op === 't' || op === 'm') return NOTHING;
  const source = payload['source'];
  const named =
    typeof source === 'object' && source !== null ? (source as Json)['table'] : undefined;
  const table = typeof named === 'string' ? tableNamed(model, named) : 'page_views';
  const isInsert = op === 'c' || op === 'r';
  return tableChange(model, table, isInsert, payload['after'], payload['before']);
}

/** Whether it is a row, and no heartbeat. */
const hasId = (payload: Json, { columns }: DataModel): boolean =>
  [columns.customers.id, columns.page_views.id].some((column) => keyOf(payload, column) !== null);

/** Maxwell's JSON. https://maxwells-daemon.io/dataformat/ */
function readMaxwell(value: Json, model: DataModel): Reading {
  const type = get(value, 'type');
  const table = tableNamed(model, String(get(value, 'table')));
  const rowTypes = ['insert', 'update', 'delete', 'bootstrap-insert'];
  if (typeof type !== 'string' || !rowTypes.includes(type)) return NOTHING;
  const data = get(value, 'data');
  const old = value['old'] ?? null;
  // `old` holds only the columns that changed.
  const field = userColumn(model.columns, table ?? 'page_views');
  const before = old !== null && keyOf(asObject(old, 'old'), field) !== null ? old : null;
  return tableChange(model, table, type.endsWith('insert'), data, before);
}

/**
 * Reads a message of the page views topic (in `format`) or of the user changes topic (always our
 * own form). Those of others have the names that the tables and columns have in the database. Never
 * throws, whatever the bytes are.
 */
export function readMessage(
  message: Pick<ReceivedMessage, 'value'>,
  format: TopicFormat,
  model: DataModel = DEFAULT_MODEL,
): Reading {
  if (message.value === null) return NOTHING;
  try {
    const value = asObject(parseExact(message.value), 'the message');
    switch (format) {
      case 'page_view':
        return readOwn(value);
      case 'debezium':
        return withGtid(readDebezium(value, model), gtidOf(value));
      case 'maxwell':
        return withGtid(readMaxwell(value, model), gtidOf(value));
    }
  } catch (error) {
    const problem = error instanceof Unreadable ? error.message : 'the message is not JSON';
    return { kind: 'unreadable', problem };
  }
}

/**
 * Reading request bodies as strictly as the documented API: unknown properties are refused, types
 * are checked, a user is named by e-mail address or by user id and not by both. Pure; a refusal is
 * an Answer.
 */
import { badJson, badParams, type Answer } from './answers.ts';
import { isDeeperThan, isPlainObject, type DataFields } from './fields.ts';

/** An e-mail address as sent, or a user id. `key` names the user within the project. */
export interface Identity {
  email: string | null;
  userId: string | null;
  /** The lower-cased e-mail address, or `userId:` and the id. */
  key: string;
  /** False where Iterable would answer InvalidEmailAddressError or InvalidUserIdError. */
  valid: boolean;
}

export interface UserUpdate {
  identity: Identity;
  dataFields: DataFields;
  mergeNestedObjects: boolean;
  createNewFields: boolean;
}

export interface TrackedEvent {
  identity: Identity;
  eventName: string;
  /** null: the project gives one. */
  id: string | null;
  /** Epoch seconds; null: now. */
  createdAt: number | null;
  dataFields: DataFields;
  createNewFields: boolean;
}

export type Read<T> = { value: T } | { refusal: Answer };

type Kind = 'string' | 'boolean' | 'integer' | 'object' | 'array';
type Shape = ReadonlyMap<string, Kind>;

const shape = (properties: Record<string, Kind>): Shape => new Map(Object.entries(properties));

const USER_PROPERTIES = {
  email: 'string',
  userId: 'string',
  dataFields: 'object',
  preferUserId: 'boolean',
  mergeNestedObjects: 'boolean',
} as const;
const BULK_USER = shape(USER_PROPERTIES);
const USER = shape({ ...USER_PROPERTIES, createNewFields: 'boolean' });
const BULK_USERS = shape({ users: 'array', createNewFields: 'boolean' });
const EVENT = shape({
  email: 'string',
  userId: 'string',
  eventName: 'string',
  id: 'string',
  createdAt: 'integer',
  dataFields: 'object',
  campaignId: 'integer',
  templateId: 'integer',
  createNewFields: 'boolean',
});
const BULK_EVENTS = shape({ events: 'array' });

/** Nesting that Iterable would not index; here it bounds recursion. */
const DEPTH_MAX = 32;
const EMAIL_CHARS_MAX = 254;
const USER_ID_CHARS_MAX = 52;
/** 2000-01-01: whatever lies before is no time in seconds of a web event. */
const CREATED_AT_MIN = 946_684_800;
/** Milliseconds taken for seconds land far beyond a year ahead. */
const CREATED_AT_AHEAD_MAX_S = 366 * 86_400;
const EVENT_ID = /^[A-Za-z0-9-]{1,512}$/;
const EMAIL =
  /^[^\s@<>()[\]\\,;:"]+@[^\s@<>()[\]\\,;:"._-][^\s@<>()[\]\\,;:"_]*\.[^\s@<>()[\]\\,;:"._-]{2,}$/u;

export function isEmail(text: string): boolean {
  if (text.length > EMAIL_CHARS_MAX || text.includes('..')) return false;
  return EMAIL.test(text) && !text.startsWith('.') && !text.includes('.@');
}

/** Parses a body as JSON. */
export function parseJson(text: string): Read<unknown> {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (cause) {
    return { refusal: badJson(`Invalid JSON: ${(cause as Error).message.slice(0, 200)}`) };
  }
}

function isKind(value: unknown, kind: Kind): boolean {
  if (kind === 'integer') return Number.isSafeInteger(value);
  if (kind === 'object') return isPlainObject(value);
  if (kind === 'array') return Array.isArray(value);
  return typeof value === kind;
}

/** What is wrong with `body`, or null. `where` begins the message for an item of a batch. */
function misshapen(body: unknown, expected: Shape, where: string): string | null {
  if (!isPlainObject(body)) return `${where}a JSON object is expected`;
  for (const name of Object.keys(body)) {
    const kind = expected.get(name);
    if (kind === undefined) return `${where}unknown property ${JSON.stringify(name.slice(0, 100))}`;
    if (!isKind(body[name], kind)) return `${where}${name} must be of type ${kind}`;
  }
  if (isDeeperThan(body['dataFields'], DEPTH_MAX)) {
    return `${where}dataFields nest deeper than ${DEPTH_MAX}`;
  }
  return null;
}

function identityOf(body: DataFields): Identity | string {
  const email = body['email'] as string | undefined;
  const userId = body['userId'] as string | undefined;
  if (email !== undefined && userId !== undefined) return 'email or userId, not both';
  if (email !== undefined) {
    return { email, userId: null, key: email.toLowerCase(), valid: isEmail(email) };
  }
  if (userId === undefined) return 'email or userId is required';
  const valid = userId.length > 0 && userId.length <= USER_ID_CHARS_MAX;
  return { email: null, userId, key: `userId:${userId}`, valid };
}

const refuse = (msg: string): { refusal: Answer } => ({ refusal: badParams(msg) });

export function readUpdate(body: unknown, where = '', expected: Shape = USER): Read<UserUpdate> {
  const wrong = misshapen(body, expected, where);
  if (wrong !== null) return refuse(wrong);
  const fields = body as DataFields;
  const identity = identityOf(fields);
  if (typeof identity === 'string') return refuse(where + identity);
  return {
    value: {
      identity,
      dataFields: (fields['dataFields'] as DataFields | undefined) ?? {},
      mergeNestedObjects: fields['mergeNestedObjects'] === true,
      createNewFields: fields['createNewFields'] !== false,
    },
  };
}

/** `nowSeconds` tells what is a plausible `createdAt`. */
export function readEvent(body: unknown, nowSeconds: number, where = ''): Read<TrackedEvent> {
  const wrong = misshapen(body, EVENT, where);
  if (wrong !== null) return refuse(wrong);
  const fields = body as DataFields;
  const identity = identityOf(fields);
  if (typeof identity === 'string') return refuse(where + identity);
  const eventName = (fields['eventName'] as string | undefined) ?? '';
  if (eventName === '') return refuse(`${where}eventName is required`);
  const id = (fields['id'] as string | undefined) ?? null;
  if (id !== null && !EVENT_ID.test(id)) {
    return refuse(`${where}id must be 1 to 512 letters, digits and hyphens`);
  }
  const createdAt = (fields['createdAt'] as number | undefined) ?? null;
  if (
    createdAt !== null &&
    (createdAt < CREATED_AT_MIN || createdAt > nowSeconds + CREATED_AT_AHEAD_MAX_S)
  ) {
    return refuse(`${where}createdAt must be a plausible time in seconds since 1970`);
  }
  return {
    value: {
      identity,
      eventName,
      id,
      createdAt,
      dataFields: (fields['dataFields'] as DataFields | undefined) ?? {},
      createNewFields: fields['createNewFields'] !== false,
    },
  };
}

function readItems<T>(
  items: readonly unknown[],
  read: (item: unknown, where: string) => Read<T>,
): Read<T[]> {
  const values: T[] = [];
  for (const [index, item] of items.entries()) {
    const one = read(item, `item ${index}: `);
    if ('refusal' in one) return one;
    values.push(one.value);
  }
  return { value: values };
}

/** A misshapen item refuses the whole batch; an invalid identity does not. */
export function readBulkUpdate(body: unknown): Read<UserUpdate[]> {
  const wrong = misshapen(body, BULK_USERS, '');
  if (wrong !== null) return refuse(wrong);
  const { users, createNewFields } = body as { users?: unknown[]; createNewFields?: boolean };
  if (users === undefined) return refuse('users is required');
  const read = readItems(users, (item, where) => readUpdate(item, where, BULK_USER));
  if ('refusal' in read || createNewFields !== false) return read;
  return { value: read.value.map((update) => ({ ...update, createNewFields: false })) };
}

/** A misshapen item refuses the whole batch; an invalid identity does not. */
export function readBulkTrack(body: unknown, nowSeconds: number): Read<TrackedEvent[]> {
  const wrong = misshapen(body, BULK_EVENTS, '');
  if (wrong !== null) return refuse(wrong);
  const { events } = body as { events?: unknown[] };
  if (events === undefined) return refuse('events is required');
  return readItems(events, (item, where) => readEvent(item, nowSeconds, where));
}

import type { Accepted, Refused } from '../../deliver/sink.ts';
import { withoutAddresses } from '../../plain-text.ts';

/** What an answer of Iterable means for what is sent next. */
export type Reply =
  | Accepted
  | Refused
  /** Worth another try; `retryAfterMs` where the server named a time. */
  | { kind: 'retry'; status: number | null; message: string; retryAfterMs: number | null }
  /** 401 or 403: of the key, or of this one record; the key has to be asked about by itself. */
  | { kind: 'unauthorised'; status: number; code: string | null; message: string };

/** What the question about the key can come to. */
export type KeyReply = Exclude<Reply, { kind: 'refused' }>;

/** By which an answer is known as Iterable's: its `code`, or the counts of a bulk endpoint. */
export type AnswerShape = 'single' | 'bulk';

/** Said of every answer that is not Iterable's. */
export const NOT_ITERABLES =
  'this is no answer of the Iterable API; ITERABLE_API_BASE_URL may be wrong';
const MESSAGE_CHARS_MAX = 300;
const RETRY_AFTER_MS_MAX = 10 * 60_000;
/** More than this of a message is not looked at. */
const READ_CHARS_MAX = 4_000;
/** Deeper than anything of Iterable's, and flat enough for any JSON.stringify. */
const DEPTH_MAX = 200;

/** Server text that is safe to keep: one line, bounded, without anything like an address. */
export function cleanMessage(text: string): string {
  // Half an address at the end would not be seen as one.
  const isLong = text.length > READ_CHARS_MAX;
  const read = isLong ? text.slice(0, READ_CHARS_MAX).replace(/\S+$/, '') : text;
  const plain = withoutAddresses(read).replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
  return plain.trim().slice(0, MESSAGE_CHARS_MAX);
}

/** Retry-After: seconds or an HTTP date (RFC 9110, 10.2.3), in milliseconds from `nowMs`. */
export function readRetryAfter(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  if (!Number.isFinite(ms)) return null;
  return Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX);
}

/** Whether brackets are nested deeper than DEPTH_MAX; those within strings count for nothing. */
function isTooDeep(text: string): boolean {
  if (text.length <= 2 * DEPTH_MAX) return false;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') inString = !inString;
    else if (inString) i += char === '\\' ? 1 : 0;
    else if (char === '[' || char === '{') depth += 1;
    else if (char === ']' || char === '}') depth -= 1;
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}

function parseJson(text: string): unknown {
  if (isTooDeep(text)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function field(body: unknown, name: 'code' | 'msg'): string | null {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return null;
  const value = (body as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : null;
}

/** The bulk endpoints answer with counts and lists, without a code. */
function isBulkAnswer(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, 'successCount'))
    return false;
  return typeof (body as { successCount: unknown }).successCount === 'number';
}

/**
 * Whether it is Iterable that answers. None of the calls that are made has a 404 of its own (a path
 * that is missing has), a single call's answer has a `code`, a bulk one's its counts; where a bulk
 * call is refused as a whole it has a code instead.
 */
function isIterables(status: number, body: unknown, shape: AnswerShape): boolean {
  if (status === 404 || (status >= 300 && status < 400)) return false;
  const code = field(body, 'code');
  if (shape === 'single') return code !== null;
  return isBulkAnswer(body) || (code !== null && code !== 'Success');
}

/**
 * Reads an answer. The HTTP status decides first, since status and code can disagree; a 200 counts
 * only when its body says `Success`, because a disallowed event is a 200 as well
 * (`"… is disallowed from tracking"`). What is not an answer of Iterable (a proxy's page, another
 * host's 404) says nothing about the record: it is tried again, as while Iterable is down.
 */
export function readResponse(
  status: number,
  retryAfter: string | null,
  text: string,
  nowMs: number,
  shape: AnswerShape,
): Reply {
  const body = parseJson(text);
  const foundCode = field(body, 'code');
  const code = foundCode === null ? null : cleanMessage(foundCode);
  const message = cleanMessage(field(body, 'msg') ?? '');
  if (status === 401 || status === 403) return { kind: 'unauthorised', status, code, message };
  if (status === 408 || status === 429 || status >= 500) {
    return { kind: 'retry', status, message, retryAfterMs: readRetryAfter(retryAfter, nowMs) };
  }
  if (!isIterables(status, body, shape)) {
    return { kind: 'retry', status, message: NOT_ITERABLES, retryAfterMs: null };
  }
  const accepted = shape === 'bulk' ? isBulkAnswer(body) : foundCode === 'Success';
  const success = status < 300 && accepted && !/is disallowed from tracking/i.test(message);
  if (success) return { kind: 'ok', status, body };
  return { kind: 'refused', status, code, message, body };
}

/** Reads the answer to GET /api/channels, which is `{"channels":[…]}` where a key is accepted. */
export function readChannels(
  status: number,
  retryAfter: string | null,
  text: string,
  nowMs: number,
): KeyReply {
  const body = parseJson(text);
  const isDocumented =
    typeof body === 'object' &&
    body !== null &&
    Object.hasOwn(body, 'channels') &&
    Array.isArray((body as { channels: unknown }).channels);
  if (status === 200 && isDocumented) return { kind: 'ok', status, body };
  const reply = readResponse(status, retryAfter, text, nowMs, 'single');
  if (reply.kind === 'retry' || reply.kind === 'unauthorised') return reply;
  return { kind: 'retry', status, message: NOT_ITERABLES, retryAfterMs: null };
}

import { withoutAddresses } from '../plain-text.ts';

/** What an answer of Iterable means for what is sent next. */
export type Verdict =
  | { kind: 'ok'; status: number; body: unknown }
  /** Never to be sent again as it is: a dead letter. */
  | { kind: 'refused'; status: number; code: string | null; message: string; body: unknown }
  /** Worth another try; `retryAfterMs` where the server named a time. */
  | { kind: 'retry'; status: number | null; message: string; retryAfterMs: number | null }
  /** The key is not accepted: nothing at all can be sent. */
  | { kind: 'unauthorised'; status: number; message: string };

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
 * Reads an answer. The HTTP status decides first, since status and code can disagree; a 200 counts
 * only when its body says `Success`, because a disallowed event is a 200 as well
 * (`"… is disallowed from tracking"`).
 */
export function readResponse(
  status: number,
  retryAfter: string | null,
  text: string,
  nowMs: number,
): Verdict {
  const body = parseJson(text);
  const code = field(body, 'code');
  const isOdd = body === undefined && status < 300;
  const message = cleanMessage(field(body, 'msg') ?? (isOdd ? 'the body is not JSON' : ''));
  if (status === 401 || status === 403) return { kind: 'unauthorised', status, message };
  if (status === 408 || status === 429 || status >= 500) {
    return { kind: 'retry', status, message, retryAfterMs: readRetryAfter(retryAfter, nowMs) };
  }
  if (status >= 300 && status < 400) {
    const redirected = 'redirected; check ITERABLE_API_BASE_URL';
    return { kind: 'retry', status, message: redirected, retryAfterMs: null };
  }
  const accepted = code === 'Success' || isBulkAnswer(body);
  const success = status < 300 && accepted && !/is disallowed from tracking/i.test(message);
  if (success) return { kind: 'ok', status, body };
  const keptCode = code === null ? null : cleanMessage(code);
  return { kind: 'refused', status, code: keptCode, message, body: body ?? null };
}

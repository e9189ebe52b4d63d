/** Answers in Iterable's shape, `{msg, code, params}`. */
import type { Mismatch } from './fields.ts';

export interface Answer {
  status: number;
  /** JSON, unless `contentType` says otherwise. */
  body: string;
  contentType?: string;
  retryAfterSeconds?: number;
}

/** A response code as documented, at https://api.iterable.com/api/docs. */
export function answer(
  status: number,
  code: string,
  msg: string,
  params: Record<string, unknown> | null = null,
): Answer {
  return { status, body: JSON.stringify({ msg, code, params }) };
}

export function json(value: unknown, status = 200): Answer {
  return { status, body: JSON.stringify(value) };
}

export function html(status: number, title: string): Answer {
  const body = `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`;
  return { status, body, contentType: 'text/html; charset=utf-8' };
}

export const SUCCESS: Answer = Object.freeze(answer(200, 'Success', ''));

export function badParams(msg: string): Answer {
  return answer(400, 'BadParams', msg);
}

export function badJson(msg: string): Answer {
  return answer(400, 'BadJsonBody', msg);
}

export function badKey(endpoint: string): Answer {
  return answer(401, 'BadApiKey', 'Invalid API key', { endpoint: `/api/${endpoint}` });
}

export function rateLimited(retryAfterSeconds?: number): Answer {
  const body = '{"msg":"Exceeded rate limit.","code":"RateLimitExceeded","params":null}';
  return retryAfterSeconds === undefined
    ? { status: 429, body }
    : { status: 429, body, retryAfterSeconds };
}

export function tooLarge(bytesMax: number): Answer {
  return answer(413, 'BatchTooLarge', `Request body is larger than ${bytesMax} bytes`);
}

/** The shape was recorded from the real API; `category` is `user` or `event`. */
export function typesMismatched(category: string, mismatches: readonly Mismatch[]): Answer {
  const validationErrors = Object.create(null) as Record<string, unknown>;
  const texts: string[] = [];
  for (const { field, expected, incoming, offendingValue } of mismatches) {
    const incomingTypes = incoming === 'string' ? ['string', 'keyword'] : [incoming];
    validationErrors[field] = {
      incomingTypes,
      expectedType: expected,
      _type: 'UnexpectedType',
      offendingValue,
      category,
    };
    texts.push(
      `Field '${field}' already exists for type '${category}' and has a data type of ` +
        `'${expected}' but possible types '${incomingTypes.join(', ')}' in the request.`,
    );
  }
  const msg =
    'Project 1: The request does not have the same data types as the data previously ' +
    `submitted. ${texts.join(' ')}`;
  return answer(400, 'RequestFieldsTypesMismatched', msg, { validationErrors });
}

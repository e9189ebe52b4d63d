import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cleanMessage,
  readChannels,
  readResponse,
  readRetryAfter,
} from '../../src/sinks/iterable/read-response.ts';

const NOW = Date.UTC(2026, 0, 1);
const SUCCESS = '{"msg":"","code":"Success","params":null}';

function kindOf(status: number, body = SUCCESS, shape: 'single' | 'bulk' = 'single'): string {
  return readResponse(status, null, body, NOW, shape).kind;
}

describe('readResponse', () => {
  it('takes a 200 only when its body says Success', () => {
    expect(kindOf(200)).toBe('ok');
    expect(kindOf(202)).toBe('ok');
    expect(kindOf(200, '{"code":"BadParams","msg":"no"}')).toBe('refused');
    expect(
      kindOf(200, '{"code":"Success","msg":"Event page_view is disallowed from tracking."}'),
    ).toBe('refused');
  });

  it('takes what is not an answer of Iterable as down, and says which setting may be wrong', () => {
    const foreign: [number, string][] = [
      [200, '<html>hello</html>'],
      [200, ''],
      [200, 'null'],
      [200, '[]'],
      [200, '{"ok":true}'],
      [400, '<html>Bad Request</html>'],
      [404, '<html>Not Found</html>'],
      [404, '{"code":"NotFound","msg":"no such path"}'],
      [301, ''],
    ];
    for (const [status, body] of foreign) {
      for (const shape of ['single', 'bulk'] as const) {
        expect(readResponse(status, null, body, NOW, shape)).toMatchObject({
          kind: 'retry',
          message: expect.stringContaining('ITERABLE_API_BASE_URL') as string,
        });
      }
    }
  });

  it('takes the answer of a bulk endpoint by its counts, and only there', () => {
    const counts = '{"successCount":3,"failCount":0}';
    expect(kindOf(200, counts, 'bulk')).toBe('ok');
    expect(kindOf(200, counts, 'single')).toBe('retry');
    expect(kindOf(200, SUCCESS, 'bulk')).toBe('retry');
    expect(kindOf(400, '{"code":"BatchTooLarge","msg":""}', 'bulk')).toBe('refused');
  });

  it('knows the accepted key by the documented shape of GET /api/channels alone', () => {
    const read = (status: number, body: string): string =>
      readChannels(status, null, body, NOW).kind;
    expect(read(200, '{"channels":[]}')).toBe('ok');
    for (const body of ['<html>', '{}', SUCCESS, '{"channels":1}', '[]', '']) {
      expect([body, read(200, body)]).toEqual([body, 'retry']);
    }
    expect(read(401, '{"code":"BadApiKey"}')).toBe('unauthorised');
    expect(read(403, '<html>')).toBe('unauthorised');
    expect(read(404, SUCCESS)).toBe('retry');
    expect(read(400, '{"code":"BadParams"}')).toBe('retry');
  });

  it('believes the status before the code', () => {
    expect(kindOf(400)).toBe('refused');
    expect(kindOf(500)).toBe('retry');
    expect(kindOf(401)).toBe('unauthorised');
  });

  it('sorts every status into what is to be done', () => {
    for (const status of [408, 429, 500, 502, 503, 504, 599, 301, 302, 404]) {
      expect([status, kindOf(status)]).toEqual([status, 'retry']);
    }
    for (const status of [401, 403])
      expect([status, kindOf(status)]).toEqual([status, 'unauthorised']);
    for (const status of [400, 409, 413, 422]) {
      expect([status, kindOf(status)]).toEqual([status, 'refused']);
    }
  });

  it('keeps status, code and message of a refusal, without addresses or line breaks', () => {
    const body = JSON.stringify({
      code: 'InvalidEmailAddressError',
      msg: 'bad\naddress jane@x.org!',
    });
    expect(readResponse(400, null, body, NOW, 'single')).toMatchObject({
      kind: 'refused',
      status: 400,
      code: 'InvalidEmailAddressError',
      message: 'bad address (address)',
    });
  });

  it('survives any status, header and body', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 999 }),
        fc.option(fc.string()),
        fc.oneof(fc.string(), fc.json()),
        (status, header, body) => {
          const reply = readResponse(status, header, body, NOW, 'single');
          expect(['ok', 'refused', 'retry', 'unauthorised']).toContain(reply.kind);
          if (reply.kind === 'retry') expect(reply.retryAfterMs ?? 0).toBeLessThanOrEqual(600_000);
        },
      ),
    );
  });

  it('is not fooled by prototype keys', () => {
    expect(kindOf(200, '{"__proto__":{"code":"Success"}}')).toBe('retry');
  });
});

describe('readRetryAfter', () => {
  it('reads seconds and HTTP dates, and bounds them', () => {
    expect(readRetryAfter('3', NOW)).toBe(3000);
    expect(readRetryAfter(new Date(NOW + 5000).toUTCString(), NOW)).toBe(5000);
    expect(readRetryAfter(new Date(NOW - 5000).toUTCString(), NOW)).toBe(0);
    expect(readRetryAfter('999999', NOW)).toBe(600_000);
    expect(readRetryAfter('soon', NOW)).toBeNull();
    expect(readRetryAfter(null, NOW)).toBeNull();
  });
});

describe('cleanMessage', () => {
  it('leaves no control character, no address and no more than 300 characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const clean = cleanMessage(text);
        expect(clean.length).toBeLessThanOrEqual(300);
        expect(clean).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      }),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/model/clock.ts';
import { KeyQuestion } from '../../src/sinks/iterable/key-question.ts';
import type { KeyReply } from '../../src/sinks/iterable/read-response.ts';

const ACCEPTED: KeyReply = { kind: 'ok', status: 200, body: { channels: [] } };
const REFUSED: KeyReply = { kind: 'unauthorised', status: 401, code: null, message: '' };
const AWAY: KeyReply = { kind: 'retry', status: 503, message: '', retryAfterMs: null };

describe('KeyQuestion', () => {
  it('answers in three words', async () => {
    const answers = [ACCEPTED, REFUSED, AWAY];
    const question = new KeyQuestion(() => Promise.resolve(answers.shift() ?? AWAY), systemClock);
    expect(await question.ask()).toBe('accepted');
    expect(await question.ask()).toBe('refused');
    expect(await question.ask()).toBe('unanswered');
  });

  it('has one question out at a time, and one answer for all who asked before it', async () => {
    let out = 0;
    let most = 0;
    let asked = 0;
    const question = new KeyQuestion(async () => {
      asked += 1;
      out += 1;
      most = Math.max(most, out);
      await new Promise((resolve) => setTimeout(resolve, 20));
      out -= 1;
      return ACCEPTED;
    }, systemClock);
    await Promise.all(Array.from({ length: 100 }, () => question.ask()));
    expect([asked, most]).toEqual([1, 1]);
  });

  // Else a record would be refused for good because the key was accepted just before it was revoked.
  it('gives nobody an answer to a question that began before it was asked', async () => {
    const first = Promise.withResolvers<KeyReply>();
    const answers = [first.promise, Promise.resolve(REFUSED)];
    const question = new KeyQuestion(() => answers.shift() ?? Promise.resolve(AWAY), systemClock);
    const before = question.ask();
    await new Promise((resolve) => setImmediate(resolve));
    const after = question.ask();
    first.resolve(ACCEPTED);
    expect(await before).toBe('accepted');
    expect(await after).toBe('refused');
  });
});

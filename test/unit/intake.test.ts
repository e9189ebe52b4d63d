import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Engine, WorkItem } from '../../src/delivery/engine.ts';
import { Intake } from '../../src/delivery/intake.ts';
import type { ReceivedMessage } from '../../src/topics/port.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapMegabytes(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

const MESSAGES = 4_000;
const BYTES = 25_000;

/** A view with a large field beside those that matter, as its bytes come from a topic. */
function message(offset: number): ReceivedMessage {
  const value = JSON.stringify({
    id: offset,
    user_id: offset,
    page: 'pricing',
    event_time: '2026-01-01T00:00:00Z',
    extra: '-'.repeat(BYTES),
  });
  return {
    topic: 'views',
    partition: 0,
    offset,
    key: String(offset),
    value: Buffer.from(value).toString(),
    timestampMs: 0,
    headers: { position: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${offset}` },
  };
}

describe('Intake', () => {
  // Guards #finisher: what is unfinished is kept, its messages are not.
  it('keeps of a message that is unfinished only what is needed to finish it', async () => {
    const items: WorkItem[] = [];
    const intake = new Intake({
      engine: {
        accept: (more: readonly WorkItem[]) => void items.push(...more),
        room: () => Promise.resolve(),
      } as unknown as Engine,
      format: 'page_view',
      pageViewsTopic: 'views',
      pages: ['pricing'],
      deadLetters: { add: () => Promise.resolve() },
      onOutcome: () => undefined,
      onUnreadable: () => undefined,
      now: () => 0,
      nowEpoch: () => 0,
    });
    const before = heapMegabytes();
    for (let offset = 0; offset < MESSAGES; offset += 100) {
      await intake.accept(Array.from({ length: 100 }, (_, i) => message(offset + i)));
    }
    const kept = heapMegabytes() - before;
    expect(items).toHaveLength(MESSAGES);
    // Whole, they are 100 MB.
    expect(kept).toBeLessThan((MESSAGES * 1_000) / 2 ** 20);
    for (const item of items) item.finish('sent');
    expect(intake.progress.takeMoved()).toEqual([
      { topic: 'views', partition: 0, offset: MESSAGES },
    ]);
  }, 60_000);
});

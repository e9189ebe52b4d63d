import { describe, expect, it, vi } from 'vitest';
import { UserQueue } from '../../src/deliver/user-queue.ts';
import { systemClock } from '../../src/model/clock.ts';
import { triggerFor } from '../support/triggers.ts';

const ids = (users: { userId: string }[]): string[] => users.map(({ userId }) => userId);

describe('users who have rested', () => {
  it('are looked at before those who wait, up to three quarters of a turn', async () => {
    const queue = new UserQueue(() => undefined, systemClock);
    for (let i = 0; i < 4; i++) queue.add(triggerFor(`old${i}`));
    const rested = queue.take(4);
    for (let i = 0; i < 8; i++) queue.add(triggerFor(`new${i}`));
    for (const { userId, triggers } of rested) queue.rest(userId, triggers, 1);
    await vi.waitFor(() => expect(queue.queued).toBe(12));
    expect(ids(queue.take(4)).map((id) => id.slice(0, 3))).toEqual(['old', 'old', 'old', 'new']);
    expect(queue.take(20)).toHaveLength(8);
    expect(queue.queued).toBe(0);
  });
});

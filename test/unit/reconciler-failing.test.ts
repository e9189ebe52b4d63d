import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { World, user } from '../support/reconciler-world.ts';

describe('Reconciler, where calls fail', () => {
  it('counts users, not messages: one with very many is one user', async () => {
    const world = new World({ usersMax: 2 }, 5);
    world.rows.set('7', user('7', '1'));
    world.failing.add('7');
    world.reconciler.accept(Array.from({ length: 21_000 }, () => world.trigger('7')));
    await world.reconciler.room();
    expect(world.reconciler.unfinished).toBe(21_000);
    world.reconciler.stop();
  });

  it('reaches everybody else while the calls of many users fail, and those at the end too', async () => {
    const world = new World({ usersMax: 20, deliveriesMax: 10, retriesMax: 5 });
    for (let id = 1; id <= 120; id++) world.rows.set(String(id), user(String(id), '1'));
    for (let id = 1; id <= 100; id++) world.failing.add(String(id));
    for (let id = 1; id <= 120; id++) {
      world.reconciler.accept([world.trigger(String(id))]);
      await world.reconciler.room();
    }
    while (world.sent.length < 20) await sleep(5);
    expect(new Set(world.sent.map(({ userId }) => Number(userId) > 100))).toEqual(new Set([true]));
    world.failing.clear();
    await world.reconciler.idle();
    expect(world.outcomes).toEqual(Array.from({ length: 120 }, () => 'sent'));
    // What failed goes behind the others.
    const firstOf = (userId: string): boolean =>
      world.tries.find((one) => one.userId === userId)?.isRetry ?? true;
    for (let id = 1; id <= 120; id++) expect(firstOf(String(id))).toBe(false);
    expect(world.tries.filter(({ isRetry }) => !isRetry)).toHaveLength(120);
  }, 30_000);

  it('sets a user aside whose calls keep failing while those of others succeed', async () => {
    const world = new World({ patience: { triesMin: 3, failingMsMin: 300 } });
    world.rows.set('7', user('7', '1'));
    world.failing.add('7');
    world.reconciler.accept(Array.from({ length: 3_000 }, () => world.trigger('7')));
    for (let other = 1000; world.reconciler.unfinished > 0; other++) {
      world.rows.set(String(other), user(String(other), '1'));
      world.reconciler.accept([world.trigger(String(other))]);
      await sleep(20);
    }
    expect(world.letters).toHaveLength(1);
    expect(world.letters[0]).toMatchObject({
      user: { userId: '7' },
      calls: [
        { name: 'users/update', outcome: { kind: 'refused', code: 'set-aside', status: 500 } },
        {},
      ],
    });
    expect(world.outcomes.filter((outcome) => outcome === 'refused')).toHaveLength(1);
    // Nothing about the user has changed: no more calls.
    const tries = world.tries.length;
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    expect(world.tries).toHaveLength(tries);
    // Something has: tried again.
    world.failing.delete('7');
    world.rows.set('7', user('7', '2'));
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    expect(world.sent.at(-1)).toMatchObject({ userId: '7', pageViewId: '2' });
  }, 30_000);

  it('sets nobody aside while nobody gets through', async () => {
    const world = new World({ patience: { triesMin: 2, failingMsMin: 0 } });
    for (const id of ['1', '2', '3']) {
      world.rows.set(id, user(id, '1'));
      world.failing.add(id);
      world.reconciler.accept([world.trigger(id)]);
    }
    while (world.tries.length < 15) await sleep(5);
    expect(world.letters).toEqual([]);
    world.failing.clear();
    await world.reconciler.idle();
    expect(world.outcomes).toEqual(['sent', 'sent', 'sent']);
  }, 30_000);

  it('asks the rule anew before it tries again', async () => {
    const world = new World();
    world.rows.set('7', user('7', '1'));
    world.failing.add('7');
    world.reconciler.accept([world.trigger('7')]);
    while (world.tries.length === 0) await sleep(1);
    world.rows.set('7', user('7', '2'));
    world.failing.clear();
    await world.reconciler.idle();
    expect(world.sent.map(({ pageViewId }) => pageViewId)).toEqual(['2']);
  });

  it('never sends to one address for two users at a time, and the last to have it comes last', async () => {
    const world = new World();
    const slow = Promise.withResolvers<void>();
    world.deliverLater = ({ userId }) => (userId === '1' ? slow.promise : Promise.resolve());
    world.rows.set('1', { ...user('1', '1'), email: 'a@example.com' });
    world.reconciler.accept([world.trigger('1')]);
    while (world.tries.length === 0) await sleep(1);
    // User 1 gives the address up, user 2 takes it, while user 1's call is on its way.
    world.rows.set('1', { ...user('1', '1'), email: 'b@example.com' });
    world.rows.set('2', { ...user('2', '2'), email: 'A@Example.com' });
    world.reconciler.accept([world.trigger('1'), world.trigger('2')]);
    await sleep(50);
    slow.resolve();
    await world.reconciler.idle();
    expect(world.addressOverlaps).toBe(0);
    const toA = world.sent.filter(({ email }) => email?.toLowerCase() === 'a@example.com');
    expect(toA.map(({ userId }) => userId)).toEqual(['1', '2']);
    expect(world.sent.findLast(({ userId }) => userId === '1')?.email).toBe('b@example.com');
  });
});

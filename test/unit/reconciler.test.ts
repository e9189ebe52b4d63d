import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHANGED, viewInserted } from '../../src/deliver/trigger.ts';
import { World, user } from '../support/reconciler-world.ts';

describe('Reconciler', () => {
  it('sends what the rule says now, once, however many messages say to look', async () => {
    const world = new World();
    world.rows.set('7', user('7', '100'));
    world.reconciler.accept(Array.from({ length: 50 }, () => world.trigger('7')));
    await world.reconciler.idle();
    expect(world.sent.map(({ pageViewId }) => pageViewId)).toEqual(['100']);
    expect(world.outcomes.filter((outcome) => outcome === 'sent')).toHaveLength(1);
    expect(world.outcomes.filter((outcome) => outcome === 'superseded')).toHaveLength(49);
  });

  // Guards #gatherMs.
  it('looks together at users who come one after the other, and at the first at once', async () => {
    const world = new World({}, 3);
    const began = performance.now();
    for (let i = 0; i < 60; i++) {
      const id = String(i);
      world.rows.set(id, user(id, id));
      world.reconciler.accept([world.trigger(id)]);
      await sleep(1);
    }
    const tookMs = performance.now() - began;
    await world.reconciler.idle();
    expect(world.sent).toHaveLength(60);
    expect(world.looks[0]).toBe(1);
    // A look takes 3 ms, so they begin 9 ms apart.
    expect(world.looks.length).toBeLessThan(10 + tookMs / 6);
  });

  it('sends nothing again that was sent last, and everything that differs from it', async () => {
    const world = new World();
    world.rows.set('7', user('7', '100'));
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    world.rows.set('7', { ...user('7', '100'), profile: { first_name: 'Ann' } });
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    expect(world.sent).toHaveLength(2);
    expect(world.outcomes).toEqual(['sent', 'superseded', 'sent']);
  });

  it('waits for a page view that its message announced before it can be seen', async () => {
    const world = new World();
    world.rows.set('7', user('7', '100'));
    world.visible.add('100');
    world.reconciler.accept([world.trigger('7', { cause: viewInserted('101') })]);
    await sleep(30);
    expect(world.outcomes).toEqual([]);
    world.rows.set('7', user('7', '101'));
    world.visible.add('101');
    await world.reconciler.idle();
    expect(world.sent.map(({ pageViewId }) => pageViewId)).toEqual(['101']);
  });

  it('waits for a change whose transaction the server has not executed yet', async () => {
    const world = new World();
    let committed = false;
    world.executed = () => committed;
    world.reconciler.accept([world.trigger('7', { cause: CHANGED })]);
    await sleep(30);
    expect(world.outcomes).toEqual([]);
    world.rows.set('7', user('7', '1'));
    committed = true;
    await world.reconciler.idle();
    expect(world.outcomes).toEqual(['sent']);
  });

  it('looks once more after a change that nobody can date, so that a late one is not missed', async () => {
    const world = new World();
    world.reconciler.accept([world.trigger('7', { cause: CHANGED })]);
    await sleep(5);
    world.rows.set('7', user('7', '1'));
    await world.reconciler.idle();
    expect(world.sent).toHaveLength(1);
    expect(world.outcomes).toEqual(['sent']);
  });

  it('goes on when the database comes back, with everything that was in hand', async () => {
    const world = new World();
    world.failingLooks = 2;
    for (const id of ['1', '2', '3']) world.rows.set(id, user(id, id));
    world.reconciler.accept(['1', '2', '3'].map((id) => world.trigger(id)));
    await world.reconciler.idle();
    expect(world.outcomes).toEqual(['sent', 'sent', 'sent']);
  });

  it('says that a delivery was refused, and tries again only when something has changed', async () => {
    const world = new World();
    world.refuses = true;
    world.rows.set('7', user('7', '1'));
    for (const pageViewId of ['1', '1', '2']) {
      world.rows.set('7', user('7', pageViewId));
      world.reconciler.accept([world.trigger('7')]);
      await world.reconciler.idle();
    }
    expect(world.outcomes).toEqual(['refused', 'superseded', 'refused']);
  });

  // Guards memory.forget in #send: Iterable may have taken a call whose answer never came.
  it('sends again what it sent before, when something else was tried in between', async () => {
    const world = new World();
    const ann = { ...user('7', '1'), profile: { first_name: 'Ann' } };
    world.rows.set('7', ann);
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    world.rows.set('7', { ...ann, profile: { first_name: 'Bob' } });
    world.givesUp = true;
    world.reconciler.accept([world.trigger('7')]);
    await sleep(20);
    world.givesUp = false;
    world.rows.set('7', ann);
    await world.reconciler.idle();
    expect(world.sent.map(({ profile }) => profile['first_name'])).toEqual(['Ann', 'Bob', 'Ann']);
  });

  // Guards memory.remember after onDelivery in #send: else the next look would call it superseded.
  it('sends again what was refused, while the refusal could not be kept', async () => {
    const world = new World();
    world.rows.set('7', user('7', '1'));
    world.refuses = true;
    world.failingRecords = 1;
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    expect(world.sent).toHaveLength(2);
    expect(world.outcomes).toEqual(['refused']);
  });

  // Guards `attempt > 1 || holdUps` in #send.
  it('puts nobody off who has only waited for the rate limiter, however much has come', async () => {
    const world = new World();
    world.rows.set('7', user('7', '1'));
    const wanted: boolean[] = [];
    world.whileDelivering = (isWanted) => {
      if (wanted.length > 0) return;
      world.reconciler.accept([world.trigger('7')]);
      world.aheadMs = 60_000;
      wanted.push(isWanted(1), isWanted(2));
      world.holdUps = 1;
      wanted.push(isWanted(1));
    };
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    expect(wanted).toEqual([true, false, false]);
  });

  // Guards `isKnownToSink` in Sending.
  it('looks once more, beside another sender, where only the event was refused', async () => {
    const world = new World({ verifies: true });
    world.rows.set('7', user('7', '1'));
    world.refusesTrack = true;
    world.whileDelivering = () => {
      world.rows.set('7', { ...user('7', '1'), profile: { first_name: 'Bob' } });
    };
    world.reconciler.accept([world.trigger('7')]);
    await world.reconciler.idle();
    expect(world.sent.at(-1)?.profile['first_name']).toBe('Bob');
    expect(world.outcomes).toEqual(['refused']);
  });

  it('finishes nothing of what was received before a reset', async () => {
    const world = new World({}, 5);
    world.rows.set('7', user('7', '1'));
    world.reconciler.accept([world.trigger('7')]);
    world.reconciler.reset();
    await world.reconciler.idle();
    await sleep(30);
    expect(world.outcomes).toEqual([]);
  });

  // Guards isOurs in Sending: else a start would repeat whatever ended while the program stopped.
  it('finishes, after a stop, what was on its way', async () => {
    const world = new World();
    const slow = Promise.withResolvers<void>();
    world.deliverLater = () => slow.promise;
    world.rows.set('7', user('7', '1'));
    world.reconciler.accept([world.trigger('7')]);
    while (world.tries.length === 0) await sleep(1);
    world.reconciler.stop();
    slow.resolve();
    await world.reconciler.drained();
    expect(world.outcomes).toEqual(['sent']);
  });

  // Else what was sent after them would all come again: their offsets are not passed.
  it('sends, after a stop, whom it has taken, waiting and put off ones too, and takes no others', async () => {
    const world = new World({ usersPerLookMax: 4, looksMax: 1 }, 20);
    const wanted: boolean[] = [];
    world.whileDelivering = (isWanted) => wanted.push(isWanted(1), isWanted(2));
    for (const id of ['1', '2', '3', '4', '5', '6', '7', '8']) world.rows.set(id, user(id, id));
    world.reconciler.accept([...world.rows.keys()].map((id) => world.trigger(id)));
    while (world.looks.length === 0) await sleep(1);
    world.reconciler.stop();
    await world.reconciler.drained();
    expect(world.sent.map(({ userId }) => userId)).toEqual(['1', '2', '3', '4']);
    expect(world.outcomes).toEqual(['sent', 'sent', 'sent', 'sent']);
    expect(new Set(wanted)).toEqual(new Set([true]));
  });

  // Else what is sent then would be sent again by the next run: it is not finished without that look.
  it('begins nothing after a stop where a look is to follow each delivery', async () => {
    const world = new World({ verifies: true }, 5);
    const wanted: boolean[] = [];
    world.whileDelivering = (isWanted) => wanted.push(isWanted(1));
    world.rows.set('7', user('7', '1'));
    world.reconciler.accept([world.trigger('7')]);
    while (world.looks.length === 0) await sleep(1);
    world.reconciler.stop();
    await world.reconciler.drained();
    expect(wanted).toEqual([false]);
  });

  it('holds back whoever brings more while there is no room', async () => {
    const world = new World({ usersMax: 2 }, 5);
    world.reconciler.accept([world.trigger('1'), world.trigger('2'), world.trigger('3')]);
    let hasRoom = false;
    const room = world.reconciler.room().then(() => (hasRoom = true));
    await Promise.resolve();
    expect(hasRoom).toBe(false);
    await room;
    expect(world.outcomes.length).toBeGreaterThan(0);
  });

  it('ends, whatever happens, with each user sent as the database has it, one delivery at a time', async () => {
    const step = fc.record({
      user: fc.nat(5),
      view: fc.nat(1000),
      eligible: fc.boolean(),
      wait: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const world = new World({ usersPerLookMax: 2, deliveriesMax: 3 }, 1);
        for (const { user: id, view, eligible, wait } of steps) {
          const key = String(id);
          if (eligible) world.rows.set(key, user(key, String(view)));
          else world.rows.delete(key);
          world.reconciler.accept([world.trigger(key)]);
          if (wait > 0) await sleep(wait);
        }
        await world.reconciler.idle();
        expect(world.overlaps).toBe(0);
        expect(world.outcomes).toHaveLength(steps.length);
        for (const [key, row] of world.rows) {
          expect(world.sent.findLast(({ userId }) => userId === key)).toEqual(row);
        }
      }),
      { numRuns: 40 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { AddressOrder } from '../../src/deliver/address-order.ts';
import type { EligibleUser } from '../../src/rule/eligible-user.ts';

const user = (userId: string, email: string | null): EligibleUser => ({
  userId,
  email,
  profile: { plan_type: 'pro', recent_page_view: true },
  pageViewId: '1',
  event: { page: 'pricing', timestamp: '2026-01-01 00:00:00' },
  eventEpochSeconds: 0,
});

describe('AddressOrder', () => {
  it('lets nobody else send to an address while a delivery to it is under way', () => {
    const order = new AddressOrder();
    expect(order.begin(user('1', 'A@x.io'), 0)).toBe(true);
    expect(order.begin(user('2', ' a@X.io'), 5)).toBe(false);
    expect(order.begin(user('2', 'b@x.io'), 5)).toBe(true);
    order.end(user('1', 'A@x.io'), 10);
    expect(order.begin(user('2', 'a@x.io'), 11)).toBe(true);
  });

  it('sends no answer that is older than the delivery of another user to the address', () => {
    const order = new AddressOrder();
    order.begin(user('2', 'a@x.io'), 0);
    order.end(user('2', 'a@x.io'), 10);
    expect(order.begin(user('1', 'a@x.io'), 9)).toBe(false);
    expect(order.begin(user('1', 'a@x.io'), 11)).toBe(true);
  });

  it('lets a user follow itself at once, and those without an address always', () => {
    const order = new AddressOrder();
    order.begin(user('1', 'a@x.io'), 0);
    order.end(user('1', 'a@x.io'), 10);
    expect(order.begin(user('1', 'a@x.io'), 9)).toBe(true);
    expect(order.begin(user('3', null), 0)).toBe(true);
    expect(order.begin(user('4', null), 0)).toBe(true);
  });
});

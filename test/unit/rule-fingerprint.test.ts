import { describe, expect, it } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { ruleFingerprint } from '../../src/rule/fingerprint.ts';

const SETTINGS = {
  rule: { planType: 'pro', pages: ['pricing', 'settings'], lookbackDays: 7 },
  db: {
    host: 'db',
    port: 3306,
    user: 'me',
    password: '',
    name: 'shop',
    ssl: false,
    timeZone: '+00:00',
    model: DEFAULT_MODEL,
  },
  iterable: {
    apiKey: 'key',
    baseUrl: 'https://api.iterable.com',
    timeoutMs: 1,
    usersUpdatePerSecond: 500,
    eventsTrackPerSecond: 2000,
    proxy: null,
  },
};

describe('the fingerprint of the rule', () => {
  it('is another one for another plan, page, number of days, time zone, name, field, project or key', () => {
    const { rule, db, iterable } = SETTINGS;
    const columns = { ...DEFAULT_MODEL.columns.page_views, device: 'gadget' };
    const others = [
      { ...SETTINGS, rule: { ...rule, planType: 'free' } },
      { ...SETTINGS, rule: { ...rule, pages: ['pricing'] } },
      { ...SETTINGS, rule: { ...rule, lookbackDays: 8 } },
      { ...SETTINGS, db: { ...db, timeZone: '+01:00' } },
      ...[
        { tables: { customers: 'clients', page_views: 'page_views' } },
        { profile: DEFAULT_MODEL.event },
        { event: DEFAULT_MODEL.profile },
        { columns: { ...DEFAULT_MODEL.columns, page_views: columns } },
      ].map((more) => ({ ...SETTINGS, db: { ...db, model: { ...DEFAULT_MODEL, ...more } } })),
      { ...SETTINGS, iterable: { ...iterable, baseUrl: 'https://api.eu.iterable.com' } },
      { ...SETTINGS, iterable: { ...iterable, apiKey: 'other' } },
    ];
    const all = [SETTINGS, ...others].map(ruleFingerprint);
    expect(new Set(all).size).toBe(all.length);
  });

  it('stays the same whatever else is set otherwise, and has no secret in it', () => {
    const { rule, db, iterable } = SETTINGS;
    const same = {
      rule: { ...rule, pages: ['settings', 'pricing'] },
      db: { ...db, host: 'other', password: 'hunter2' },
      iterable: { ...iterable, timeoutMs: 5, usersUpdatePerSecond: 10 },
    };
    expect(ruleFingerprint(same)).toBe(ruleFingerprint(SETTINGS));
    expect(ruleFingerprint(SETTINGS)).toMatch(/^[\w-]{32}$/);
    expect(ruleFingerprint(SETTINGS)).not.toContain('key');
  });
});

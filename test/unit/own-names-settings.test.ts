import { describe, expect, it } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { loadSettings, readSettings } from '../../src/settings/load.ts';
import { REQUIRED } from '../support/required-settings.ts';

const options = (env: Record<string, string>) =>
  ({ env: { ...REQUIRED, ...env }, directory: null, configFile: null, need: 'all' }) as const;

describe('the settings of names and fields', () => {
  it('are the usual ones by default', () => {
    expect(loadSettings(options({})).db.model).toEqual(DEFAULT_MODEL);
  });

  it('say what is called otherwise', () => {
    const { model } = loadSettings(
      options({
        CUSTOMERS_TABLE: 'we`ird. name',
        COLUMN_NAMES: 'plan_type=tier',
        EVENT_FIELDS: 'page:seite',
      }),
    ).db;
    expect(model).toEqual({
      ...DEFAULT_MODEL,
      tables: { ...DEFAULT_MODEL.tables, customers: 'we`ird. name' },
      columns: {
        ...DEFAULT_MODEL.columns,
        customers: { ...DEFAULT_MODEL.columns.customers, plan_type: 'tier' },
      },
      event: [{ column: 'page', isExact: false, field: 'seite' }],
    });
  });

  it.each([
    [{ COLUMN_NAMES: 'plan=tier' }, 'COLUMN_NAMES', /there is no role "plan"; the roles are cust/],
    [{ COLUMN_NAMES: 'plan_type=a,plan_type=b' }, 'COLUMN_NAMES', /plan_type a second time/],
    [
      { PROFILE_FIELDS: 'x:recent_page_view' },
      'PROFILE_FIELDS',
      /recent_page_view is always there/,
    ],
    [{ EVENT_FIELDS: 'page,page' }, 'EVENT_FIELDS', /names the field "page" a second time/],
    [{ CUSTOMERS_TABLE: 'x'.repeat(65) }, 'CUSTOMERS_TABLE', /longer than the 64 characters/],
    [{ CUSTOMERS_TABLE: 'Page_Views' }, 'PAGE_VIEWS_TABLE', /another table than CUSTOMERS_TABLE/],
  ])('that cannot be are named: %o', (env, name, sentence) => {
    expect(readSettings(options(env)).problems).toEqual([
      { name, sentence: expect.stringMatching(sentence) as string },
    ]);
  });
});

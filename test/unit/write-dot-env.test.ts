import { mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { parseDotEnv } from '../../src/settings/dot-env.ts';
import { SETTINGS_TABLE } from '../../src/settings/table.ts';
import { dotEnvText, dotEnvValue, writePrivately } from '../../src/settings/write-dot-env.ts';

const odd = fc.stringMatching(/^[ #'"`\\n$=\t\r\nab]{0,12}$/);
const value = fc.oneof(odd, fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));

describe('a written .env', () => {
  it('reads back exactly the same, or says of which setting it cannot be', () => {
    const names = SETTINGS_TABLE.map(({ name }) => name);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), (given) => {
        const values = new Map(Object.entries(given));
        const bad = [...values].find(([, text]) => dotEnvValue(text) === null);
        if (bad === undefined) {
          const bytes = Buffer.from(dotEnvText(values));
          expect(parseDotEnv(bytes.toString())).toEqual(values);
          return;
        }
        expect(() => dotEnvText(values)).toThrow(UsageError);
      }),
      { numRuns: 2000 },
    );
  });

  it('can hold every password of one line', () => {
    const password = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]/.test(text));
    fc.assert(
      fc.property(
        fc.oneof(
          password,
          odd.filter((text) => !/[\r\n]/.test(text)),
        ),
        (text) => {
          const kinds = new Set(text.match(/['"`]/g));
          fc.pre(kinds.size < 3 && !text.includes(String.raw`\n`));
          expect(dotEnvValue(text)).not.toBeNull();
        },
      ),
      { numRuns: 2000 },
    );
    for (const text of ['', ' # ', "it's", `"#`, 'a b', '$HOME', `'"`, String.raw`\n'`, 'ä€🙂'])
      expect(dotEnvValue(text)).not.toBeNull();
    expect(dotEnvValue(`'"\`\n`)).toBeNull();
  });

  it('is for its owner alone, leaves nothing beside it, and never replaces one unasked', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'dot-env-')), '.env');
    writeFileSync(path, 'mine', { mode: 0o644 });
    await expect(writePrivately(path, 'new', false)).rejects.toThrow(/there already.*--force/);
    expect(readFileSync(path, 'utf8')).toBe('mine');
    await writePrivately(path, 'new', true);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, '..'))).toEqual(['.env']);
    await expect(writePrivately('/proc/no/.env', 'x', false)).rejects.toThrow(UsageError);
  });
});

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isoTime,
  partitionOffset,
  port,
  positiveInteger,
  share,
} from '../../src/commands/option-values.ts';
import { UsageError } from '../../src/errors.ts';
import { parseSetting } from '../../src/settings/formats.ts';
import { loadSettings, readSettings } from '../../src/settings/load.ts';
import { SETTINGS_TABLE } from '../../src/settings/table.ts';

/** Against a hang: a busy machine takes a multiple of the usual milliseconds. */
const MS_MAX = 20_000;
const directory = mkdtempSync(join(tmpdir(), 'fuzz-'));
const LONG = ['9', '/', ',', ':', 'a', '-', 'a/', 'a:1,', '[', ' ', 'https://'].map((piece) =>
  piece.repeat(Math.ceil(50_000 / piece.length)),
);
const raw = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[\d.eE+:,/A-Za-z _-]{0,30}$/),
  fc.constantFrom(
    ...LONG,
    ...LONG.map((text) => `${text}!`),
    '__proto__',
    'constructor',
    'Infinity',
    '0x10',
    '1e3',
  ),
);

describe('settings', () => {
  it('are read, or named with what would be accepted; nothing hangs', () => {
    const kinds = SETTINGS_TABLE.map(({ kind }) => kind);
    fc.assert(
      fc.property(fc.constantFrom(...kinds), raw, (kind, text) => {
        const began = performance.now();
        const parsed = parseSetting(kind, text);
        expect(performance.now() - began).toBeLessThan(MS_MAX);
        if ('problem' in parsed) expect(parsed.problem).toMatch(/^must/);
        else if (typeof parsed.value === 'number')
          expect(Number.isSafeInteger(parsed.value)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('end in settings or in one UsageError that holds no secret, whatever the environment is', () => {
    const names = SETTINGS_TABLE.map(({ name }) => name);
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...names, '__proto__', 'constructor'), raw),
        (values) => {
          const env = {
            ...values,
            ITERABLE_API_KEY: 'planted-key-a1',
            DB_PASSWORD: 'planted-password-b2',
          };
          try {
            loadSettings({ env, directory, configFile: null, need: 'all' });
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
            expect((error as Error).message).not.toMatch(/planted/);
          }
        },
      ),
    );
  });

  it('come from any JSON file, or are refused in a sentence', () => {
    const path = join(directory, 'config.json');
    fc.assert(
      fc.property(
        fc.oneof(fc.json(), fc.string(), fc.constant('{"__proto__":{"DB_HOST":"x"}}')),
        (text) => {
          writeFileSync(path, text);
          try {
            const { settings } = readSettings({
              env: {},
              directory,
              configFile: path,
              need: 'none',
            });
            expect(settings.db.host).toBe('');
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
          }
        },
      ),
    );
  });

  // Guards the check of the password in url(): doctor prints the address.
  it('take no address with a login in it', () => {
    for (const login of ['user@', 'user:word@', ':word@']) {
      expect(parseSetting('url', `https://${login}api.iterable.com`)).toHaveProperty('problem');
    }
  });
});

describe('option values', () => {
  const readers = {
    isoTime,
    partitionOffset: (text: string) => partitionOffset(text)[0]?.offset ?? 0,
    port,
    positiveInteger,
    share,
  };

  it.each(Object.entries(readers))('%s gives a finite number or says what it takes', (_, read) => {
    const texts = fc.oneof(
      raw,
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.stringMatching(/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(Z|[+-]\d\d:?\d\d)?$/),
      fc.stringMatching(/^\d{1,12}:\d{1,18}$/),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const began = performance.now();
        try {
          expect(Number.isFinite(read(text))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidArgumentError);
        }
        expect(performance.now() - began).toBeLessThan(MS_MAX);
      }),
      { numRuns: 1000 },
    );
  });
});

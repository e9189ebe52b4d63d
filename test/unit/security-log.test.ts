import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const LOG = new URL('../../src/observe/log.ts', import.meta.url).href;
const HOSTILE = 'x\n{"level":30}\r\u001B[31mred\u009B1m\u202E';
const address = ['Kate.O', 'Example.com'].join('@');
const file = join(mkdtempSync(join(tmpdir(), 'log-')), 'program.log');

/** What a process of its own logs: to the console as on a terminal or in a pipe, and to the file. */
function logged(isTerminal: boolean): string {
  const script = `
    const { openLog } = await import(${JSON.stringify(LOG)});
    const h = ${JSON.stringify(HOSTILE)}, a = ${JSON.stringify(address)}, secret = 'planted-secret"1';
    await using log = openLog({ level: 'debug', file: ${JSON.stringify(file)} }, { isPretty: ${isTerminal}, screen: null }, [secret, 'pw']);
    const err = Object.assign(new Error(h + a + secret), { config: [{ dbPassword: 'pw', sasl: { password: 'pw' } }], [h]: h });
    log.logger.debug({ h, err, [h]: 1, a, nested: { "__proto__": { h } } }, h + ' ' + a + ' ' + secret);
    log.logger.warn({ h, err, a }, h + ' ' + a + ' ' + secret);`;
  const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return stderr;
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\x08\x0B-\x1F\x7F-\x9F\u2028-\u202E\u2066-\u2069]/;

describe('the log', () => {
  // Guards guarded() in log.ts: oneLine for people, plainJson for programs.
  it.each([true, false])(
    'is a line a record on the console, whatever is logged (terminal: %s)',
    (isTerminal) => {
      const text = logged(isTerminal);
      expect(text).not.toMatch(CONTROL);
      expect(text).not.toMatch(/^\{"level":30\}/m);
      const own = isTerminal
        ? /^(\[?\d\d:\d\d:\d\d\]? (DEBUG|WARN): |    |\}?$)/
        : /^(\{"level".*\}|)$/;
      for (const line of text.split('\n')) expect(line).toMatch(own);
      for (const planted of [address, 'planted-secret', '"pw"'])
        expect(text).not.toContain(planted);
    },
  );

  it('names addresses in the file below INFO alone, and secrets nowhere', () => {
    logged(false);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const records = lines.map(
      (line) => JSON.parse(line) as { level: string; h: string; err: { config: unknown } },
    );
    for (const [i, record] of records.entries()) {
      expect(record.h).toBe(HOSTILE);
      expect(record.err.config).toEqual([
        { dbPassword: '(secret)', sasl: { password: '(secret)' } },
      ]);
      expect(lines[i]?.includes(address)).toBe(record.level === 'debug');
      expect(lines[i]).not.toMatch(/planted-secret/);
      expect(lines[i]).not.toMatch(CONTROL);
    }
  });
});

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const TOOLS = new URL('../../tools/', import.meta.url).pathname;

function tool(name: string, args: readonly string[], path = process.env['PATH']) {
  const env = { ...process.env, PATH: path };
  return spawnSync(process.execPath, [join(TOOLS, name), ...args], { encoding: 'utf8', env });
}

describe('tools/leaks.ts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'leaks-'));
  /** As a program that a test started would leave it. */
  const leave = (file: string, text: string): string => {
    const path = join(folder, 'iterable-sync-x', file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  };
  const key = ['test', 'key'].join('-');
  const address = ['Kate.O', 'Example.com'].join('@');

  it('finds a planted key and an address in output, and never repeats them', () => {
    const file = join(folder, 'output');
    writeFileSync(file, `fine\nApi-Key: te\u001B[31mst-key\nhello ${address}\nnode@26.1.0\n`);
    const { status, stdout } = tool('leaks.ts', [file]);
    expect(status).toBe(1);
    expect(stdout).toContain(`${file}:2: a planted key or password\n`);
    expect(stdout).toContain(`${file}:3: an e-mail address\n`);
    expect(stdout).toContain('2 leaks');
    for (const planted of [key, address]) expect(stdout).not.toContain(planted);
    writeFileSync(file, 'fine\n');
    expect(tool('leaks.ts', [file]).status).toBe(0);
    expect(tool('leaks.ts', []).status).toBe(1);
  });

  it('allows addresses in results files and below INFO in the log file, and no key anywhere', () => {
    const log = leave('log/program.log', `{"level":"debug","msg":"${address}"}\n`);
    const results = leave('results/integration_results_20260101_000000.json', `"${address}"`);
    expect(tool('leaks.ts', ['--tree', folder]).stdout).toContain('2 files looked at, 0 leaks');
    leave(
      'log/program.log',
      `{"level":"info","msg":"${address}"}\n{"level":"debug","msg":"${key}"}\n`,
    );
    leave('results/integration_results_20260101_000000.json', key);
    leave('state/topics.db', `\0\0${key}`);
    const { status, stdout } = tool('leaks.ts', ['--tree', folder]);
    expect(status).toBe(1);
    expect(stdout).toContain(`${log}:1: an e-mail address\n`);
    expect(stdout).toContain(`${log}:2: a planted key`);
    expect(stdout).toContain(`${results}:1: a planted key`);
    expect(stdout).toContain('topics.db:1: a planted key');
    expect(stdout).toContain('4 leaks');
  });
});

describe('tools/audit.ts', () => {
  /** A PATH whose npm prints this and ends so. */
  function withNpm(report: unknown, status: number): string {
    const folder = mkdtempSync(join(tmpdir(), 'fake-npm-'));
    const npm = join(folder, 'npm');
    writeFileSync(npm, `#!/bin/sh\ncat <<'END'\n${JSON.stringify(report)}\nEND\nexit ${status}\n`);
    chmodSync(npm, 0o755);
    return `${folder}:${process.env['PATH'] ?? ''}`;
  }

  it('passes where nothing of high severity is known', () => {
    const report = {
      vulnerabilities: { small: { name: 'small', severity: 'low' } },
      metadata: { vulnerabilities: { low: 1, high: 0, critical: 0 } },
    };
    expect(tool('audit.ts', [], withNpm(report, 0)).status).toBe(0);
  });

  it('fails with findings, and names them', () => {
    const report = {
      vulnerabilities: { holed: { name: 'holed', severity: 'critical' } },
      metadata: { vulnerabilities: { critical: 1 } },
    };
    const { status, stdout } = tool('audit.ts', [], withNpm(report, 1));
    expect([status, stdout]).toEqual([1, expect.stringContaining('holed: critical\n')]);
    expect(tool('audit.ts', [], withNpm('nonsense', 1)).status).toBe(1);
  });

  it('says so where the registry has no audit endpoint, which is neither', () => {
    const { status, stdout } = tool('audit.ts', [], withNpm({ statusCode: 405 }, 1));
    expect([status, stdout]).toEqual([75, expect.stringContaining('no audit endpoint')]);
  });
});

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Ended, Program, runToEnd, until } from '../support/program.ts';
import { stage } from '../support/stage.ts';

interface LogRecord {
  level: string;
  time: string;
  msg: string;
}

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'];

/** Every line is a record. */
function records(text: string, what: string): LogRecord[] {
  return text
    .split('\n')
    .filter((line, i, all) => line !== '' || i < all.length - 1)
    .map((line) => {
      let record: Partial<LogRecord> = {};
      try {
        record = JSON.parse(line) as Partial<LogRecord>;
      } catch {
        // The expectations name the line.
      }
      expect(LEVELS, `${what}: ${line}`).toContain(record.level);
      expect(record.time, `${what}: ${line}`).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      expect(typeof record.msg, `${what}: ${line}`).toBe('string');
      return record as LogRecord;
    });
}

describe('with JSON logs,', () => {
  it('each line of each command is a record, the last one too', async () => {
    await using on = await stage();
    const env = { ...on.env, LOG_FORMAT: 'json', LOG_LEVEL: 'debug' };
    await using program = new Program(['run'], env);
    await program.ready();
    await until('they are there', () => Promise.resolve(on.simulator.users.size === 3));
    const both = ({ stdout, stderr }: Ended): string => stdout + stderr;
    const ends: [string[], Readonly<{ DB_PORT?: string }>, RegExp, ((ended: Ended) => string)?][] =
      [
        [['backfill'], {}, /Total users processed: +3/, both],
        [['replay', '--from', '2026-01-01'], {}, /Total users processed/, both],
        [['dead-letters', 'list', '--json'], {}, /^$/],
        [['dead-letters', 'discard', 'no-such'], {}, /there is no dead letter/],
        [['dead-letters', 'discard', '--all'], {}, /Discarded: 0/, both],
        [['setup-db'], {}, /already has/],
        [['setup-db', '--reset'], {}, /Created customers/, both],
        [['deliver'], {}, /STATE_DIR/],
        [['capture'], {}, /KAFKA_BROKERS: is not set/],
        [['backfill'], { DB_PORT: '1' }, /cannot be reached/],
        [['backfil'], {}, /Did you mean backfill/],
        [['doctor'], {}, /^$/],
      ];
    for (const [args, more, said, of = ({ stderr }: Ended) => stderr] of ends) {
      const what = args.join(' ');
      const found = records(of(await runToEnd(args, { ...env, ...more })), what);
      expect(found.map(({ msg }) => msg).join('\n'), what).toMatch(said);
    }
    await using simulator = new Program(['simulator', '--port', '0'], env);
    await until('it listens', () => Promise.resolve(simulator.stdout.includes('http://')));
    for (const [what, one] of [
      ['run', program],
      ['simulator', simulator],
    ] as const) {
      one.kill('SIGTERM');
      expect(records(both(await one.ended), what).at(-1)?.msg).toBeDefined();
    }
    records(readFileSync(on.env['LOG_FILE'] ?? '', 'utf8'), 'the log file');
  }, 120_000);

  it('in a pipe so is what goes to stderr by default, and stdout stays for people', async () => {
    await using on = await stage();
    const { stdout, stderr } = await runToEnd(['backfill'], on.env);
    records(stderr, 'backfill');
    expect(stdout).toMatch(/^Summary\n {2}Total users processed: +3\n/);
    const wrong = await runToEnd(['run'], {});
    expect(records(wrong.stderr, 'run').map(({ level }) => level)).toEqual(['error']);
    const pretty = await runToEnd(['run'], { LOG_FORMAT: 'pretty' });
    expect(pretty.stderr).toMatch(/^error: \d settings have to be put right/);
  });
});

describe('the log file', () => {
  it('is one for each command where LOG_FILE names none, and what it names where it does', () => {
    const folder = mkdtempSync(join(tmpdir(), 'logs-'));
    const program = new URL('../../src/main.ts', import.meta.url).pathname;
    const env = {
      PATH: process.env['PATH'],
      DB_HOST: '127.0.0.1',
      DB_PORT: '1',
      DB_USER: 'me',
      DB_PASSWORD: '',
      DB_NAME: 'none',
      ITERABLE_API_KEY: 'key',
    };
    const run = (args: readonly string[], more: Partial<typeof process.env> = {}): void => {
      spawnSync(process.execPath, [program, ...args], { cwd: folder, env: { ...env, ...more } });
    };
    run(['backfill']);
    run(['dead-letters', 'retry', '--all']);
    expect(readdirSync(join(folder, 'logs')).toSorted()).toEqual([
      'backfill.log',
      'dead-letters.log',
    ]);
    run(['run'], { LOG_FILE: 'my.log' });
    run(['replay', '--from', '2026-01-01'], { LOG_FILE: 'off' });
    expect(existsSync(join(folder, 'my.log'))).toBe(true);
    expect(readdirSync(join(folder, 'logs'))).toHaveLength(2);
  });
});

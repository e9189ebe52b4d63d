import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { statusLine } from '../../src/commands/status-line.ts';
import { openLog } from '../../src/observe/log.ts';
import { Screen } from '../../src/observe/screen.ts';

const QUIET = {
  troubles: [],
  captured: null,
  waiting: 3,
  sent: 1204,
  refused: 2,
  lag: 17,
  lastDeliveryMs: 1_000,
};

describe('the line below the log of a stream', () => {
  it('says what waits, was sent and refused, the lag and the last delivery, in 80 columns', () => {
    const line = statusLine(QUIET, 6_000);
    expect(line).toBe('waiting 3 · sent 1204 · refused 2 · lag 17 · last delivery 5 s ago');
    expect(line.length).toBeLessThanOrEqual(79);
  });

  it('leaves out what is not known, and begins with what does not work', () => {
    const line = statusLine({ ...QUIET, troubles: ['topics'], lag: null }, 400_000);
    expect(line).toBe(
      'not ready: topics · waiting 3 · sent 1204 · refused 2 · last delivery 7 min ago',
    );
  });

  it('is not broken by lines of the log, and cuts none of them', () => {
    const written: string[] = [];
    const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
    stream.on('data', (chunk: Buffer) => written.push(chunk.toString()));
    const screen = new Screen(stream);
    const shown = screen.show(() => 'x'.repeat(200), false);
    const long = `${'a warning about a 429 '.repeat(10)}\n`;
    screen.write(long);
    const log = openLog({ level: 'info', file: null }, { isPretty: true, screen }, []);
    log.logger.warn({ part: 'database' }, 'it is away');
    shown[Symbol.dispose]();
    screen.write('the last\n');
    const text = written.join('');
    expect(text).toContain(long);
    expect(text).toMatch(/WARN.*it is away.*\n/);
    expect(text).toContain('x'.repeat(79));
    expect(text).not.toContain('x'.repeat(80));
    expect(text.endsWith('the last\n')).toBe(true);
    stream.destroy();
  });
});

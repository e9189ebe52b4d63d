import { describe, expect, it } from 'vitest';
import { maxwell } from '../../bench/peers/maxwell.ts';
import type { Report } from '../../bench/report.ts';
import { growthChart, ratesChart } from '../../tools/performance/charts.ts';
import { Measured, rounded } from '../../tools/performance/measured.ts';
import { performancePage } from '../../tools/performance/page.ts';
import { scalingPage } from '../../tools/performance/scaling.ts';

const PROGRAMS = [
  { id: 'iterable-sync', title: 'iterable-sync' },
  { id: 'maxwell', title: 'Maxwell' },
];
const HERE = {
  machine: 'two cores',
  node: '26',
  database: 'MySQL 9.7',
  kafka: '4.3',
  peers: { maxwell: 'Maxwell' },
};
const taken = { date: '2026-01-13', isQuick: false };
const number = (id: string, unit: string, value: number) => ({
  id,
  unit,
  values: [value],
  median: value,
  min: value,
  max: value,
  ...taken,
});
const absent = { ...taken, values: [], notMeasured: 'set MAXWELL_HOME' };
const report = (...figures: Report['figures']): Measured => new Measured({ ...HERE, figures });

const RATE = 'peers.catch-up-1.rowsPerSecond';
const some = report(
  number(`${RATE}.iterable-sync`, 'rows/s', 92_592),
  { ...absent, id: `${RATE}.maxwell`, unit: 'rows/s' },
  number('message-bytes.backlog-none', 'bytes a message', 250),
  number('growth.capture-1.cpuSecondsPerMillion.iterable-sync', 'CPU s a million rows', 12.5),
);

describe('the performance documents', () => {
  it('say in words what was not measured, and why', () => {
    const page = performancePage(some, PROGRAMS);
    expect(page).toContain('| Rows a second | 92,592 | not measured: set MAXWELL_HOME |');
    expect(performancePage(report(), PROGRAMS)).toContain('| Rows a second | not measured |');
  });

  it('say when figures are of a trial', () => {
    const tried = report({ ...number('looks.p50-1', 'ms', 1), isQuick: true });
    expect(performancePage(tried, PROGRAMS)).toContain('trial at small sizes');
    expect(scalingPage(tried)).toContain('trial at small sizes');
    expect(performancePage(some, PROGRAMS)).not.toContain('trial');
  });

  it('work out a billion views a day from the figures that they name', () => {
    const page = scalingPage(some);
    // 92,592 rows a second are twice the peak of 46,296; 250 bytes make 250 GB a day.
    expect(page).toContain('which is 2 times the peak');
    expect(page).toContain('250 GB a day');
    expect(page).toContain('(not measured) GB with zstd');
  });

  it('draw charts of what there is, the same ones each time', () => {
    const svg = ratesChart(some, PROGRAMS);
    expect(svg).toContain('92,592');
    expect(svg).not.toContain('Maxwell');
    expect(ratesChart(some, PROGRAMS)).toBe(svg);
    expect(growthChart(some)).toContain('12.5');
    expect(growthChart(some)).toBe(growthChart(some));
  });

  it('round to what arithmetic on medians knows', () => {
    expect([46_296, 2.04, 0.333, 12].map((value) => rounded(value))).toEqual([
      '46,000',
      '2',
      '0.33',
      '12',
    ]);
  });
});

describe('Maxwell in the benchmarks', () => {
  it('is not measured where no installation is named, and says what to set', async () => {
    const before = process.env['MAXWELL_HOME'];
    delete process.env['MAXWELL_HOME'];
    const place = {
      brokers: [],
      schema: '',
      topic: '',
      name: '',
      serverId: 1,
      folder: '',
      env: {},
      database: { host: '', port: 1, user: '', password: '', flavour: 'mysql', version: '' },
      say: () => undefined,
    } as const;
    await expect(maxwell.prepare(place)).rejects.toThrow('set MAXWELL_HOME');
    if (before !== undefined) process.env['MAXWELL_HOME'] = before;
  });
});

import { expect, it } from 'vitest';
import { METRICS_TABLE, type MetricRow, PREFIX } from '../../src/observe/metrics-table.ts';
import { addProcessMetrics, createMetrics } from '../../src/observe/metrics.ts';

it('what /metrics shows of the program is what the documented table has', async () => {
  const { registry } = createMetrics();
  addProcessMetrics(registry, '1.2.3');
  const shown = (await registry.getMetricsAsJSON())
    .filter(({ name }) => name.startsWith(PREFIX))
    .map(({ name, type, help }) => ({ name, type: String(type), help }));
  const rows: MetricRow[] = Object.values(METRICS_TABLE);
  const documented = rows.map(({ name, type, help }) => ({ name: `${PREFIX}${name}`, type, help }));
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
  expect(shown.toSorted(byName)).toEqual(documented.toSorted(byName));
});

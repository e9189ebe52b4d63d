import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { TriggerOutcome } from '../deliver/trigger.ts';
import { METRICS_TABLE, type MetricRow, PREFIX } from './metrics-table.ts';

const DELIVERY_SECONDS = [
  0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600,
];

export const OUTCOMES: readonly TriggerOutcome[] = ['sent', 'superseded', 'ineligible', 'refused'];

/** What is counted. Gauges are read when somebody asks. */
export type Metrics = ReturnType<typeof makeMetrics> & { registry: Registry };

type LabelOf<Row extends MetricRow> = Extract<keyof Row['labels'], string>;

/** Makes the metrics of the table's rows in one registry. */
function maker(registry: Registry) {
  const options = <Row extends MetricRow>({ name, help, labels }: Row) => ({
    name: `${PREFIX}${name}`,
    help,
    labelNames: Object.keys(labels) as LabelOf<Row>[],
    registers: [registry],
  });
  return {
    counter: <Row extends MetricRow & { type: 'counter' }>(row: Row) =>
      new Counter<LabelOf<Row>>(options(row)),
    gauge: <Row extends MetricRow & { type: 'gauge' }>(row: Row) =>
      new Gauge<LabelOf<Row>>(options(row)),
    histogram: <Row extends MetricRow & { type: 'histogram' }>(row: Row, buckets: number[]) =>
      new Histogram<LabelOf<Row>>({ ...options(row), buckets }),
  };
}

function makeMetrics(registry: Registry) {
  const { counter, gauge, histogram } = maker(registry);
  return {
    ready: gauge(METRICS_TABLE.ready),
    capturedRows: counter(METRICS_TABLE.capturedRows),
    capturePositionAge: gauge(METRICS_TABLE.capturePositionAge),
    captureState: gauge(METRICS_TABLE.captureState),
    resyncs: counter(METRICS_TABLE.resyncs),
    topicLag: gauge(METRICS_TABLE.topicLag),
    deliveries: counter(METRICS_TABLE.deliveries),
    commitToDelivery: histogram(METRICS_TABLE.commitToDelivery, DELIVERY_SECONDS),
    iterableRequests: counter(METRICS_TABLE.iterableRequests),
    retries: counter(METRICS_TABLE.retries),
    rateShare: gauge(METRICS_TABLE.rateShare),
    deadLetters: gauge(METRICS_TABLE.deadLetters),
    unreadableMessages: counter(METRICS_TABLE.unreadableMessages),
    memoryOfSent: gauge(METRICS_TABLE.memoryOfSent),
  };
}

/** A registry of its own, so that two pipelines in one process (tests) do not share counters. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const metrics = makeMetrics(registry);
  // A gauge without labels begins at 0, which would read as known.
  const { capturePositionAge, memoryOfSent, deadLetters, rateShare } = metrics;
  for (const one of [capturePositionAge, memoryOfSent, deadLetters, rateShare]) one.remove();
  for (const outcome of OUTCOMES) metrics.deliveries.inc({ outcome }, 0);
  return { ...metrics, registry };
}

/** Gauges whose names end as those of counters do: `promtool check metrics` complains. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Adds what is the same for the whole life of a process, and what Node tells of it. */
export function addProcessMetrics(registry: Registry, version: string): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const buildInfo = maker(registry).gauge(METRICS_TABLE.buildInfo);
  buildInfo.set({ version, node: process.versions.node }, 1);
}

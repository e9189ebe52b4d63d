import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { LookOutcome } from '../delivery/engine.ts';

const PREFIX = 'iterable_sync_';

/** What is counted. Gauges are read when somebody asks. */
export interface Metrics {
  registry: Registry;
  capturedRows: Counter<'kind'>;
  topicLag: Gauge<'topic'>;
  deliveries: Counter<'outcome'>;
  iterableRequests: Counter<'endpoint' | 'status'>;
  commitToDelivery: Histogram;
  capturePositionAge: Gauge;
  unreadableMessages: Counter;
  memoryOfSent: Gauge;
  ready: Gauge;
  captureState: Gauge<'state'>;
  deadLetters: Gauge;
  rateShare: Gauge;
  retries: Counter<'endpoint' | 'reason'>;
  resyncs: Counter<'reason'>;
}

export const OUTCOMES: readonly LookOutcome[] = ['sent', 'superseded', 'ineligible', 'refused'];

/** A registry of its own, so that two pipelines in one process (tests) do not share counters. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const metrics: Metrics = {
    registry,
    capturedRows: new Counter({
      name: `${PREFIX}captured_rows_total`,
      help: 'Rows read from the binlog and durable in the topics.',
      labelNames: ['kind'],
      registers,
    }),
    topicLag: new Gauge({
      name: `${PREFIX}topic_lag_messages`,
      help: 'Messages after the committed offsets of the group.',
      labelNames: ['topic'],
      registers,
    }),
    deliveries: new Counter({
      name: `${PREFIX}deliveries_total`,
      help: 'What became of each message.',
      labelNames: ['outcome'],
      registers,
    }),
    iterableRequests: new Counter({
      name: `${PREFIX}iterable_requests_total`,
      help: 'Calls to Iterable by endpoint and HTTP status (error: no answer).',
      labelNames: ['endpoint', 'status'],
      registers,
    }),
    commitToDelivery: new Histogram({
      name: `${PREFIX}commit_to_delivery_seconds`,
      help: 'From the commit of the row in MySQL to the end of events/track.',
      buckets: [0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600],
      registers,
    }),
    capturePositionAge: new Gauge({
      name: `${PREFIX}capture_position_age_seconds`,
      help: 'How old the newest thing heard from the binlog is (an event, or a heartbeat).',
      registers,
    }),
    unreadableMessages: new Counter({
      name: `${PREFIX}unreadable_messages_total`,
      help: 'Messages that went to the dead letters because they could not be read.',
      registers,
    }),
    memoryOfSent: new Gauge({
      name: `${PREFIX}sent_memory_users`,
      help: 'Users whose last delivery is remembered.',
      registers,
    }),
    ready: new Gauge({
      name: `${PREFIX}ready`,
      help: '1 when /readyz says so, else 0.',
      registers,
    }),
    captureState: new Gauge({
      name: `${PREFIX}capture_state`,
      help: '1 for the state that the capture is in, 0 for the others.',
      labelNames: ['state'],
      registers,
    }),
    deadLetters: new Gauge({
      name: `${PREFIX}dead_letters`,
      help: 'Deliveries refused for good, and messages that can not be read, neither retried nor discarded.',
      registers,
    }),
    rateShare: new Gauge({
      name: `${PREFIX}rate_share`,
      help: "This instance's part of Iterable's rate limits, 0 to 1.",
      registers,
    }),
    retries: new Counter({
      name: `${PREFIX}retries_total`,
      help: 'Calls to Iterable that failed and are made again, by endpoint and reason.',
      labelNames: ['endpoint', 'reason'],
      registers,
    }),
    resyncs: new Counter({
      name: `${PREFIX}resyncs_total`,
      help: 'Looks at everyone whom the rule finds, by reason.',
      labelNames: ['reason'],
      registers,
    }),
  };
  // A gauge without labels begins at 0, which would read as known.
  const { capturePositionAge, memoryOfSent, deadLetters, rateShare } = metrics;
  for (const gauge of [capturePositionAge, memoryOfSent, deadLetters, rateShare]) gauge.remove();
  for (const outcome of OUTCOMES) metrics.deliveries.inc({ outcome }, 0);
  return metrics;
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
  new Gauge({
    name: `${PREFIX}build_info`,
    help: '1; the version of the program, and of Node.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.versions.node }, 1);
}

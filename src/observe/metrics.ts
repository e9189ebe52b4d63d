import { Counter, Gauge, Histogram, Registry } from 'prom-client';
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
  };
  // A gauge without labels begins at 0, which would read as known.
  for (const gauge of [metrics.capturePositionAge, metrics.memoryOfSent]) gauge.remove();
  for (const outcome of OUTCOMES) metrics.deliveries.inc({ outcome }, 0);
  return metrics;
}

import type { CaptureResync, CaptureState } from '../capture/status.ts';
import type { ResyncCause } from '../deliver/resync.ts';
import type { TriggerOutcome } from '../deliver/trigger.ts';
import type { Endpoint } from '../sinks/iterable/http.ts';
import type { RetryReason } from '../sinks/iterable/retry-reason.ts';

/** What the metrics are made from, and docs/metrics.md. */
export interface MetricRow {
  /** Without the prefix. */
  name: string;
  type: 'counter' | 'gauge' | 'histogram';
  unit: string;
  /** Which half of the stream it tells of; `run` is both. */
  of: 'capture' | 'deliver' | 'both';
  /** One sentence, for the page and the document alike. */
  help: string;
  /** For each label what its values mean, one by one where they are known. */
  labels: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

export const PREFIX = 'iterable_sync_';

/** Those that a stream calls. */
type ShortName<E> = E extends `/api/${infer Name extends `${string}/update` | `${string}/track`}`
  ? Name
  : never;

const OUTCOMES: Record<TriggerOutcome, string> = {
  sent: 'both calls were made for it, and Iterable took them',
  superseded: 'nothing was left to send: a later view, or the same one, had been sent already',
  ineligible: 'the rule does not find the user',
  refused: 'Iterable refused the user for good, or it was set aside: a dead letter is kept',
};

const ENDPOINTS: Record<ShortName<Endpoint>, string> = {
  'users/update': 'the profile',
  'events/track': 'the page view',
};

const RETRY_REASONS: Record<RetryReason, string> = {
  connection: 'no connection, or it broke',
  'key-refused': 'HTTP 401 or 403, and the key by itself is refused too',
  'not-iterable': 'something else answers in its place; `ITERABLE_API_BASE_URL` may be wrong',
  'rate-limit': 'HTTP 429',
  'server-error': 'HTTP 5xx',
  timeout: 'no answer within `ITERABLE_TIMEOUT_MS`, or HTTP 408',
};

const RESYNC_REASONS: Record<CaptureResync | ResyncCause, string> = {
  'first-start': 'capture: there was no checkpoint (`START_FROM=backfill`)',
  'log-lost': "capture: the checkpoint's place in the binlog is gone, or is another server's",
  'not-in-log': 'capture: a change that the binlog does not tell row by row (DDL, a cascade)',
  retention: 'deliver: messages were removed before the group had read them',
  rule: 'deliver: the rule, its time zone or the Iterable project is another one than before',
};

const CAPTURE_STATES: Record<CaptureState, string> = {
  'waiting for lock': 'another one is active: this one stands by',
  bootstrapping: 'a look at everyone is being asked for, at the first start or after a loss',
  streaming: 'the binlog is read',
  reconnecting: 'no connection to the database yet, or not any more',
};

/** The metrics of `run`, `capture` and `deliver`. */
export const METRICS_TABLE = {
  ready: {
    name: 'ready',
    type: 'gauge',
    unit: '0 or 1',
    of: 'both',
    help: '1 while /readyz answers 200, else 0.',
    labels: {},
  },
  capturedRows: {
    name: 'captured_rows_total',
    type: 'counter',
    unit: 'rows',
    of: 'capture',
    help: 'Rows read from the binlog and durable in the topics, since the start.',
    labels: {
      kind: '`TABLE.OPERATION`: `customers` or `page_views`, with `insert`, `update` or `delete`',
    },
  },
  capturePositionAge: {
    name: 'capture_position_age_seconds',
    type: 'gauge',
    unit: 'seconds',
    of: 'capture',
    help: 'Age of the newest event or heartbeat of the binlog; absent before the first and on standby.',
    labels: {},
  },
  captureState: {
    name: 'capture_state',
    type: 'gauge',
    unit: '0 or 1',
    of: 'capture',
    help: '1 for the state that capture is in, 0 for the others.',
    labels: { state: CAPTURE_STATES },
  },
  resyncs: {
    name: 'resyncs_total',
    type: 'counter',
    unit: 'resyncs',
    of: 'both',
    help: 'How often everyone whom the rule finds is looked at again, by reason.',
    labels: { reason: RESYNC_REASONS },
  },
  topicLag: {
    name: 'topic_lag_messages',
    type: 'gauge',
    unit: 'messages',
    of: 'deliver',
    help: "Messages after the consumer group's committed offsets, in all partitions; absent while unknown.",
    labels: { topic: "the topic's name" },
  },
  deliveries: {
    name: 'deliveries_total',
    type: 'counter',
    unit: 'messages',
    of: 'deliver',
    help: 'Messages that are done with, by what came of the look at their user.',
    labels: { outcome: OUTCOMES },
  },
  commitToDelivery: {
    name: 'commit_to_delivery_seconds',
    type: 'histogram',
    unit: 'seconds',
    of: 'deliver',
    help: 'From the commit of the row in the database to the end of events/track, for users who were sent.',
    labels: {},
  },
  iterableRequests: {
    name: 'iterable_requests_total',
    type: 'counter',
    unit: 'calls',
    of: 'deliver',
    help: 'Calls to Iterable that have ended, each try of one counted, by endpoint and HTTP status.',
    labels: { endpoint: ENDPOINTS, status: 'the HTTP status; `error` where there was no answer' },
  },
  retries: {
    name: 'retries_total',
    type: 'counter',
    unit: 'calls',
    of: 'deliver',
    help: 'Calls to Iterable that failed and are made again, by endpoint and reason.',
    labels: { endpoint: ENDPOINTS, reason: RETRY_REASONS },
  },
  rateShare: {
    name: 'rate_share',
    type: 'gauge',
    unit: 'ratio, 0 to 1',
    of: 'deliver',
    help: "This instance's part of Iterable's rate limits: its partitions by all; absent before it has any.",
    labels: {},
  },
  deadLetters: {
    name: 'dead_letters',
    type: 'gauge',
    unit: 'letters',
    of: 'deliver',
    help: 'Dead letters that are neither retried nor discarded, of the whole topic; absent while unknown.',
    labels: {},
  },
  unreadableMessages: {
    name: 'unreadable_messages_total',
    type: 'counter',
    unit: 'messages',
    of: 'deliver',
    help: 'Messages that went to the dead letters because they could not be read.',
    labels: {},
  },
  memoryOfSent: {
    name: 'sent_memory_users',
    type: 'gauge',
    unit: 'users',
    of: 'deliver',
    help: 'Users whose last delivery is remembered, so that the same is not sent again.',
    labels: {},
  },
  buildInfo: {
    name: 'build_info',
    type: 'gauge',
    unit: 'always 1',
    of: 'both',
    help: 'Always 1; the labels are what runs.',
    labels: { version: "the program's version", node: "Node's version" },
  },
} as const satisfies Record<string, MetricRow>;

const COMMANDS: Record<MetricRow['of'], string> = {
  capture: '`run`, `capture`',
  deliver: '`run`, `deliver`',
  both: '`run`, `capture`, `deliver`',
};

/** The tables of docs/metrics.md: all metrics, then the values of labels that have known ones. */
export function metricsMarkdown(): string {
  const rows: readonly MetricRow[] = Object.values(METRICS_TABLE);
  const all = rows.map((row) => {
    const labels = Object.keys(row.labels).map((label) => `\`${label}\``);
    const name = `\`${PREFIX}${row.name}\``;
    const what = [name, row.type, labels.join(', ') || 'none', row.unit, COMMANDS[row.of]];
    return `| ${[...what, row.help].join(' | ')} |`;
  });
  const values = rows.flatMap(({ name, labels }) =>
    Object.entries(labels).flatMap(([label, meaning]) => {
      const known: [string, string][] =
        typeof meaning === 'string'
          ? [['any', meaning]]
          : Object.entries(meaning).map(([value, text]) => [`\`${value}\``, text]);
      return known.map(([value, text]) => `| \`${name}\` | \`${label}\` | ${value} | ${text} |`);
    }),
  );
  return [
    '| Metric | Type | Labels | Unit | Commands | Meaning |',
    '| --- | --- | --- | --- | --- | --- |',
    ...all,
    '',
    '## Labels',
    '',
    'Names without the prefix.',
    '',
    '| Metric | Label | Value | Meaning |',
    '| --- | --- | --- | --- |',
    ...values,
  ].join('\n');
}

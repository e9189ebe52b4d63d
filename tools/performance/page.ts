import { GROWTH_SIZES, type Program } from './charts.ts';
import type { Measured } from './measured.ts';

type Row = readonly string[];

function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const CATCH_UP_ROWS = [
  ['Rows a second', 'rowsPerSecond'],
  ['CPU seconds a million rows', 'cpuSecondsPerMillion'],
  ['Peak memory, MB', 'peakMegabytes'],
  ['Seconds from start to first row', 'firstSeconds'],
] as const;
const LIVE_ROWS = [
  ['p50, ms', 'p50Ms'],
  ['p99, ms', 'p99Ms'],
  ['Cores kept busy', 'cores'],
  ['Commits a second in fact', 'commitsPerSecond'],
] as const;

function beside(
  measured: Measured,
  programs: readonly Program[],
  what: string,
  rows: readonly (readonly [string, string])[],
): string {
  return table(
    ['', ...programs.map(({ title }) => title)],
    rows.map(([name, field]) => [
      name,
      ...programs.map(({ id }) => measured.cell(`${what}.${field}.${id}`)),
    ]),
  );
}

const figures = (measured: Measured, rows: readonly (readonly [string, string])[]): string =>
  table(
    ['Measure', 'Median (from–to)'],
    rows.map(([name, id]) => [name, measured.text(id)]),
  );

const BACKFILL_VIEWS = [100_000, 1_000_000, 10_000_000];

function backfill(measured: Measured): string {
  return table(
    ['Views', 'Users read a second', 'ms to the first call', 'Peak memory, MB'],
    BACKFILL_VIEWS.map((views) => [
      views.toLocaleString('en-US'),
      ...['rate', 'first', 'memory'].map((field) =>
        measured.cell(`backfill-growth.${field}.${views}`),
      ),
    ]),
  );
}

const MEMORY_BACKLOGS = [100_000, 1_000_000, 3_000_000];

function growth(measured: Measured): string {
  return table(
    ['Rows a transaction', 'Rows a second', 'CPU seconds a million rows', 'Peak memory, MB'],
    GROWTH_SIZES.map((size) => {
      const cell = (field: string): string =>
        measured.cell(`growth.capture-${size}.${field}.iterable-sync`);
      return [
        size.toLocaleString('en-US'),
        cell('rowsPerSecond'),
        cell('cpuSecondsPerMillion'),
        cell('peakMegabytes'),
      ];
    }),
  );
}

const memory = (measured: Measured): string =>
  table(
    ['Waiting', 'capture, MB', 'deliver, MB'],
    MEMORY_BACKLOGS.map((rows) => [
      rows.toLocaleString('en-US'),
      measured.cell(`memory.capture-${rows}`),
      measured.cell(`memory.deliver-${rows}`),
    ]),
  );

const PROGRAM_ROWS = [
  ['capture into Kafka, 1,000 rows a transaction', 'capture.Kafka-1000'],
  ['capture into Kafka, one row a transaction', 'capture.Kafka-1'],
  ['commit to events/track, 200/s, embedded, p50', 'latency.p50.embedded-200'],
  ['commit to events/track, 200/s, embedded, p99', 'latency.p99.embedded-200'],
  ['commit to events/track, 450/s, embedded, p50', 'latency.p50.embedded-450'],
  ['commit to events/track, 450/s, embedded, p99', 'latency.p99.embedded-450'],
  ['commit to events/track, 200/s, Kafka, p50', 'latency.p50.Kafka-200'],
  ['commit to events/track, 200/s, Kafka, p99', 'latency.p99.Kafka-200'],
  ['commit to events/track, 450/s, Kafka, p50', 'latency.p50.Kafka-450'],
  ['commit to events/track, 450/s, Kafka, p99', 'latency.p99.Kafka-450'],
  ['backlog of eligible users, 1 deliver', 'backlog.Kafka-1'],
  ['the same, 2 delivers', 'backlog.Kafka-2'],
  ['the same, 4 delivers', 'backlog.Kafka-4'],
  ['messages of other pages that deliver reads', 'catch-up.Kafka-home'],
  ['messages of users not on the plan', 'catch-up.Kafka-pricing'],
  ['backfill', 'backfill.single'],
  ['backfill --bulk', 'backfill.bulk'],
] as const;

/** docs/performance.md. */
export function performancePage(measured: Measured, programs: readonly Program[]): string {
  const { machine, node, database, kafka } = measured.report;
  const trial = measured.isTrial
    ? '\n**These figures are a trial at small sizes (`--quick`), on a machine that was busy: they show that\nthe measures work, and nothing else.**\n'
    : '';
  return `<!-- Written by npm run performance from performance.json. -->

# Performance
${trial}
On ${machine}, Node ${node}, ${database}, Kafka ${kafka}, ${measured.dates}; servers, simulator and
programs share the machine. Figures are medians of the rounds, with the lowest and the highest. To take
them again (about an hour; \`MAXWELL_HOME\` names an installation of Maxwell, Debezium is fetched):

\`\`\`sh
npm run bench -- peers capture-growth backfill-growth memory message-bytes looks capture latency backlog catch-up backfill --json docs/performance.json && npm run performance
\`\`\`

## Beside Debezium and Maxwell

All read the same binlog into the same Kafka, each into a topic of its own with six partitions, keyed
by user, acks=all, and with the settings they come with: Debezium in a standalone worker of Kafka
Connect with JSON without schemas, Maxwell with its own program. They take turns, round by round. They
do more than iterable-sync, which captures two tables it knows: this compares what a page view costs.

![Rows a second of each program](performance-rates.svg)

A catch-up: the program starts with the rows waiting in the binlog; the rate is that of the topic's
end offsets, seen from another process, from the first message to the last.

1,000 rows a transaction:

${beside(measured, programs, 'peers.catch-up-1000', CATCH_UP_ROWS)}

One row a transaction:

${beside(measured, programs, 'peers.catch-up-1', CATCH_UP_ROWS)}

Live, 500 commits a second: from the commit's answer to the broker's time of the message, which is in
whole milliseconds, and may be before the answer, since a replica is told first.

${beside(measured, programs, 'peers.live-500', LIVE_ROWS)}

## How cost grows

![Capture's CPU a row by rows a transaction](performance-growth.svg)

A row's share of its transaction is what makes small transactions dear: the server's events around
the rows, and the position that each ends with.

${growth(measured)}

Peak memory with so many rows waiting in the binlog (capture) or the topic (deliver, eligible users):

${memory(measured)}

A backfill of a tenth as many customers as there are views, all of them eligible:

${backfill(measured)}

## The program by itself

The times from commit to events/track are taken once all is warm, after ten seconds at half the rate:
at 450 a second, what a cold start leaves waiting is made good by 50 a second only.

${figures(measured, PROGRAM_ROWS)}

## In the topic

${figures(measured, [
  ['none, from a backlog', 'message-bytes.backlog-none'],
  ['none, live at 500/s', 'message-bytes.live-none'],
  ['gzip, from a backlog', 'message-bytes.backlog-gzip'],
  ['gzip, live at 500/s', 'message-bytes.live-gzip'],
  ['zstd, from a backlog', 'message-bytes.backlog-zstd'],
  ['zstd, live at 500/s', 'message-bytes.live-zstd'],
])}

## The rule's question

Among 20,000 eligible customers with ten views each:

${figures(measured, [
  ['about 1 user', 'looks.p50-1'],
  ['about 20 users', 'looks.p50-20'],
  ['about 200 users', 'looks.p50-200'],
  ["200 users, the server's CPU", 'looks.server-200'],
])}

What these figures mean for a large site: [scaling.md](scaling.md). \`npm run bench -- guard\` compares
capture, publishing and delivery with reference tasks in each run of CI.
`;
}

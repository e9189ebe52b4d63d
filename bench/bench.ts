/**
 * Measures the program on real servers and prints one table. `--quick` is small, for CI: it judges
 * no bar, so that it measures two things at a time, and fails only where something is missing at the
 * end. Names given as arguments (capture, latency, poison, backlog, catch-up, backfill,
 * backfill-growth) choose a part.
 * Latencies are of the steady state: before they are taken, the program has its share of the limits
 * and some seconds of the same work behind it.
 */
import { cpus, totalmem } from 'node:os';
import pLimit from 'p-limit';
import { quietKnownWarnings } from '../src/commands/warnings.ts';
import { backfillGrowth, backfillReading, backfillSending } from './backfills.ts';
import { captureRate } from './capture-rate.ts';
import { catchUp } from './catch-up.ts';
import { type Measure, backlog, latency, poisonedLatency } from './measures.ts';
import { type Stage, openStage } from './stage.ts';

/** Measured one after the other, or side by side where it is quick. */
type Part = readonly ((stage: Stage) => Promise<Measure | Measure[]>)[];

const quick = process.argv.includes('--quick');
const chosen = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const size = <T>(full: T, small: T): T => (quick ? small : full);

const PARTS: Record<string, Part> = {
  capture: [
    (stage) => captureRate(stage, 'Kafka', size(2_000_000, 20_000), 1000),
    (stage) => captureRate(stage, 'embedded', size(1_000_000, 20_000), 1000),
    (stage) => captureRate(stage, 'Kafka', size(400_000, 2_000), 1),
    (stage) => captureRate(stage, 'embedded', size(300_000, 2_000), 1),
  ],
  latency: [
    (stage) => latency(stage, 'embedded', 200, size(20, 1)),
    (stage) => latency(stage, 'Kafka', 200, size(20, 1)),
    (stage) => latency(stage, 'embedded', 450, size(20, 1)),
    (stage) => latency(stage, 'Kafka', 450, size(20, 1)),
  ],
  poison: [(stage) => poisonedLatency(stage, 'embedded', 200, size(20, 1), size(3, 1))],
  backlog: [
    (stage) => backlog(stage, 'embedded', size(20_000, 1_500), 1),
    ...(quick
      ? []
      : [
          (stage: Stage) => backlog(stage, 'Kafka', 20_000, 1),
          (stage: Stage) => backlog(stage, 'Kafka', 20_000, 2),
          (stage: Stage) => backlog(stage, 'Kafka', 20_000, 4),
        ]),
  ],
  'catch-up': [
    (stage) => catchUp(stage, 'embedded', size(500_000, 10_000), 'pricing', null),
    (stage) => catchUp(stage, 'Kafka', size(500_000, 10_000), 'pricing', null),
    (stage) => catchUp(stage, 'embedded', size(2_000_000, 10_000), 'home', 200_000),
    (stage) => catchUp(stage, 'Kafka', size(2_000_000, 10_000), 'home', 200_000),
  ],
  backfill: [
    (stage) => backfillReading(stage, size(200_000, 2_000), size(10, 3)),
    // Whole calls: a last one of a few users would pass for a slow one of many.
    (stage) => backfillSending(stage, size(10_000, 500), size(29_990, 2_990), size(200, 50), 20),
  ],
  'backfill-growth': size([10_000, 100_000, 1_000_000], [1_000]).map(
    (customers) => (stage: Stage) => backfillGrowth(stage, customers, 10),
  ),
};

function print(measures: readonly Measure[]): void {
  const widths = [
    Math.max(...measures.map(({ name }) => name.length)),
    Math.max(...measures.map(({ value }) => value.length)),
  ] as const;
  for (const { name, value, bar, ok } of measures) {
    const verdict = ok === null || quick ? '' : ok ? 'met' : 'MISSED';
    process.stdout.write(
      `${name.padEnd(widths[0])}  ${value.padEnd(widths[1])}  ${bar}  ${verdict}`.trimEnd() + '\n',
    );
  }
}

quietKnownWarnings(process);
for (const name of chosen) {
  if (!(name in PARTS))
    throw new Error(`there is no part ${name}; there are ${Object.keys(PARTS).join(', ')}`);
}
const say = (text: string): void => void process.stderr.write(`${text}\n`);
await using stage = await openStage(say);
const limited = pLimit(quick ? 2 : 1);
const measuring = Object.entries(PARTS)
  .filter(([name]) => chosen.length === 0 || chosen.includes(name))
  .flatMap(([name, part]) =>
    part.map((measure, i) =>
      limited(() => {
        say(`measuring: ${name} ${i + 1}/${part.length}`);
        return measure(stage);
      }),
    ),
  );
const measures = (await Promise.all(measuring)).flat();
const gigabytes = (totalmem() / 2 ** 30).toFixed(0);
process.stdout.write(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, ${gigabytes} GB, Node ${process.versions.node}, ` +
    `${stage.server.flavour} ${stage.server.version}, simulator and servers on the same machine\n\n`,
);
print(measures);

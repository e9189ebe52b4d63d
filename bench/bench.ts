/**
 * Measures the program on real servers and prints one table; `--help` names the parts. `--quick` is
 * small, for CI: it judges no bar, so that it measures two things at a time, and fails only where
 * something is missing at the end.
 * Latencies are of the steady state: before they are taken, the program has its share of the limits
 * and some seconds of the same work behind it.
 */
import pLimit from 'p-limit';
import { quietKnownWarnings } from '../src/commands/warnings.ts';
import { type PartHelp, parseArguments } from './arguments.ts';
import { backfillGrowth, backfillReading, backfillSending } from './backfills.ts';
import { captureRate } from './capture-rate.ts';
import { catchUp } from './catch-up.ts';
import { type Figure, figureText, joined } from './figures.ts';
import { captureGrowth, memoryGrowth, messageBytes } from './growth.ts';
import { looks } from './looks.ts';
import { guard } from './guard/guard.ts';
import { type Measure, backlog, latency, poisonedLatency } from './measures.ts';
import { PEERS, catchUpBeside, liveBeside } from './peers/beside.ts';
import { surroundings, writeFigures } from './report.ts';
import { type Stage, openStage } from './stage.ts';

/** Measured one after the other, or side by side where it is quick. */
type Part = readonly ((stage: Stage) => Promise<Measure | Measure[]>)[];

const HELP: PartHelp = {
  capture: '* rows a second from the binlog into the topics',
  latency: '* from commit to events/track, at 200 and 450 a second',
  poison: '* the same where 1% of the users always fail',
  backlog: '* how much of the rate limits 1, 2 and 4 instances use',
  'catch-up': '* messages a second that need no call',
  backfill: '* reading and sending everyone',
  peers: 'capture beside Debezium and Maxwell (MAXWELL_HOME)',
  'capture-growth': 'capture against the rows a transaction has',
  memory: 'capture and deliver with up to 3 million rows waiting',
  'backfill-growth': 'backfill of 0.1, 1 and 10 million views',
  'message-bytes': 'what a message takes in the topic, by compression',
  looks: 'what a question of the rule costs the database, by its users',
  guard: 'ratios to reference tasks; fails where one got worse by a third',
};
/** Measured where no part is named. */
const USUAL = new Set(Object.keys(HELP).filter((part) => HELP[part]?.startsWith('*')));

const asked = parseArguments(process.argv.slice(2), HELP);
if (typeof asked === 'number') process.exit(asked);
const { quick } = asked;
const size = <T>(full: T, small: T): T => (quick ? small : full);
/** Of parts that take their turns themselves. */
const rounds = asked.rounds ?? size(3, 1);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const lines = (figures: readonly Figure[]): Measure[] =>
  figures.map((figure) => ({
    name: figure.id,
    value: figureText(figure),
    bar: '',
    ok: null,
    figures: [figure],
  }));

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

/** They measure in turn as they need it, whatever else is measured side by side. */
const ALONE: Record<string, Part> = {
  peers: [
    async (stage) => {
      const size1000 = { rows: size(1_500_000, 50_000), perTransaction: 1_000, rounds };
      return lines(await catchUpBeside(stage, PEERS, size1000, 'peers.catch-up-1000', say));
    },
    async (stage) => {
      const size1 = { rows: size(300_000, 5_000), perTransaction: 1, rounds };
      return lines(await catchUpBeside(stage, PEERS, size1, 'peers.catch-up-1', say));
    },
    async (stage) =>
      lines(await liveBeside(stage, PEERS, { perSecond: 500, seconds: size(20, 2), rounds }, say)),
  ],
  'capture-growth': [
    async (stage) => {
      const sizes = [1, 10, 100, 1_000, 10_000].map((perTransaction) => ({
        perTransaction,
        rows: size(Math.min(1_000_000, 100_000 * (perTransaction + 1)), 2_000 + perTransaction),
      }));
      return lines(await captureGrowth(stage, sizes, rounds, say));
    },
  ],
  memory: [
    async (stage) => {
      const backlogs = size([100_000, 1_000_000, 3_000_000], [5_000, 10_000]);
      return lines(await memoryGrowth(stage, backlogs, size(asked.rounds ?? 1, 1), say));
    },
  ],
  'message-bytes': [
    async (stage) => {
      const sizes = { rows: size(300_000, 5_000), perSecond: 500, seconds: size(10, 2) };
      return lines(await messageBytes(stage, sizes, say));
    },
  ],
  looks: [async (stage) => lines(await looks(stage, size(20_000, 2_000), size(2_000, 50)))],
  guard: [
    async (stage) => {
      const measures = await guard(stage, asked.renew, say);
      // The other bars are told; this one is to stop whoever made it worse.
      if (measures.some(({ ok }) => ok === false)) process.exitCode = 1;
      return measures;
    },
  ],
};

/** The rounds of one measure put together. */
function inOne(measured: readonly Measure[]): Measure {
  const [first] = measured;
  if (first === undefined) throw new RangeError('no round');
  const figures = joined(measured.flatMap((one) => one.figures ?? []));
  if (measured.length === 1 || figures.length === 0) return { ...first, figures };
  const ok = first.ok === null ? null : measured.every((one) => one.ok === true);
  return { ...first, value: figures.map(figureText).join(', '), ok, figures };
}

/** One measure, or several that come of the same work, as often as was asked for. */
async function inRounds(stage: Stage, measure: Part[number], count: number): Promise<Measure[]> {
  const all: Measure[][] = [];
  for (let round = 0; round < count; round += 1) {
    all.push([await measure(stage)].flat());
  }
  return (all[0] ?? []).map((_, i) => inOne(all.map((one) => one[i]!)));
}

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
const isChosen = (name: string): boolean =>
  asked.parts.length === 0 ? USUAL.has(name) : asked.parts.includes(name);
await using stage = await openStage(say);
const limited = pLimit(quick ? 2 : 1);
const measuring = Object.entries(PARTS)
  .filter(([name]) => isChosen(name))
  .flatMap(([name, part]) =>
    part.map((measure, i) =>
      limited(() => {
        say(`measuring: ${name} ${i + 1}/${part.length}`);
        return inRounds(stage, measure, asked.rounds ?? 1);
      }),
    ),
  );
const measures = (await Promise.all(measuring)).flat();
for (const [name, part] of Object.entries(ALONE)) {
  if (isChosen(name)) for (const measure of part) measures.push(...[await measure(stage)].flat());
}
const { machine, node, database } = surroundings(stage);
process.stdout.write(
  `${machine}, Node ${node}, ${database}, simulator and servers on the same machine\n\n`,
);
print(measures);
if (asked.json !== null) {
  const figures = measures.flatMap((measure) => measure.figures ?? []);
  writeFigures(asked.json, surroundings(stage), figures, quick);
}

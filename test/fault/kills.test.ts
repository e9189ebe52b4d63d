import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { EXTENT } from '../support/extent.ts';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { injectServices } from '../support/services.ts';
import { randomFrom } from '../support/workload.ts';

/** How long a program may be at work without coming to its point. */
const WORK_MS_MAX = 3_000;

const CAPTURE_POINTS = [
  'after row',
  'before queueing',
  'after queueing',
  'after transaction end',
  'before publish',
  'during publish',
  'after publish',
  'before publish with checkpoint',
  'during publish with checkpoint',
  'after publish with checkpoint',
];
const DELIVER_POINTS = [
  'before taking in',
  'during taking in',
  'after taking in',
  'before look',
  'during look',
  'after look',
  'before update',
  'during update',
  'after update',
  'before track',
  'during track',
  'after track',
  'after remembering',
  'after taking offsets',
  'before commit',
  'during commit',
  'after commit',
];
const EMBEDDED_POINTS = [
  ...CAPTURE_POINTS,
  ...DELIVER_POINTS,
  'before statement',
  'after statement',
];
const KAFKA_CAPTURE_POINTS = [
  ...CAPTURE_POINTS,
  'before send',
  'during send',
  'after send',
  'before checkpoint send',
  'during checkpoint send',
  'after checkpoint send',
];

interface Killed {
  database: 'mysql' | 'mariadb';
  topics: 'embedded' | 'Kafka';
  /** What is killed, and what runs on beside it. */
  command: 'run' | 'capture' | 'deliver';
  beside: 'capture' | 'deliver' | null;
  points: readonly string[];
  /** In the short form. In the long one, enough for all points and some random moments. */
  kills: number;
  /** A killed deliver's partitions are free when its session times out, 10 s later. */
  startMsMax: number;
}

const PIPELINES: readonly Killed[] = (['mysql', 'mariadb'] as const).flatMap((database) => [
  {
    database,
    topics: 'embedded',
    command: 'run',
    beside: null,
    points: EMBEDDED_POINTS,
    kills: 10,
    startMsMax: 3_000,
  },
  {
    database,
    topics: 'Kafka',
    command: 'capture',
    beside: 'deliver',
    points: KAFKA_CAPTURE_POINTS,
    kills: 10,
    startMsMax: 3_000,
  },
  {
    database,
    topics: 'Kafka',
    command: 'deliver',
    beside: 'capture',
    points: DELIVER_POINTS,
    kills: 2,
    startMsMax: 12_000,
  },
]);

/** All of them in random order, and those again that were not reached. */
class Points {
  readonly #left: string[];
  reached = 0;

  constructor(points: readonly string[], random: () => number) {
    this.#left = [...points];
    for (let i = this.#left.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [this.#left[i], this.#left[j]] = [this.#left[j] ?? '', this.#left[i] ?? ''];
    }
  }

  get left(): readonly string[] {
    return this.#left;
  }

  next(): string | undefined {
    return this.#left.shift();
  }

  ended(point: string, isReached: boolean): void {
    if (isReached) this.reached += 1;
    else this.#left.push(point);
  }
}

describe.concurrent(`kill -9 under a running workload (seed ${SEED})`, () => {
  it.each(PIPELINES)(
    'of $command from $database through $topics topics loses nothing, at any point',
    async ({ database, topics, command, beside, points: all, kills: few, startMsMax }) => {
      const random = randomFrom(SEED + all.length + database.length);
      const points = new Points(all, random);
      const kills = EXTENT.isLong ? Math.ceil((all.length * 5) / 3) : few;
      const server = injectServices()[database];
      await using pipeline = await Pipeline.open({ database: server, topics });
      const stopWriting = pipeline.write(15);
      await using other = beside === null ? null : pipeline.start(beside);
      const isEnough = (kill: number): boolean =>
        kill >= 3 * kills || (kill >= kills && (!EXTENT.isLong || points.left.length === 0));
      let kill = 0;
      for (; !isEnough(kill); kill++) {
        // Every fourth at any moment; the others sooner or later in the program's life.
        const point = kill % 4 === 3 ? undefined : points.next();
        if (point === undefined) {
          await using program = pipeline.start(command);
          await Promise.race([program.ended, sleep(300 + random() * startMsMax)]);
          expect(program.hasEnded, program.stderr).toBe(false);
          continue;
        }
        const nth = 1 + Math.floor(random() ** 3 * 10);
        await using program = pipeline.start(command, { CRASH_AT: `${point}:${nth}` });
        const worked = program.ready().then(() => sleep(WORK_MS_MAX, null));
        worked.catch(() => undefined);
        const ended = await Promise.race([program.ended, worked]);
        expect(ended?.code ?? null, `killed, not failed: ${program.stderr}`).toBeNull();
        points.ended(point, ended !== null);
      }
      await stopWriting();
      await using last = pipeline.start(command);
      const delivering = beside === 'deliver' && other !== null ? other : last;
      await last.ready();
      await pipeline.settle([await delivering.ready()]);
      expect(await pipeline.problems(), last.stderr).toEqual([]);
      const { calls } = pipeline.history;
      expect(calls.length).toBeGreaterThan(0);
      expect(points.reached).toBeGreaterThan(0);
      process.stderr.write(
        `kills: ${kill} of ${command}, ${database}, ${topics}: ${points.reached} of ${all.length} points, ${calls.length} calls\n`,
      );
      if (EXTENT.isLong) expect(points.left).toEqual([]);
    },
    1_200_000,
  );
});

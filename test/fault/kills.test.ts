import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { EXTENT } from '../support/extent.ts';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { injectServices } from '../support/services.ts';
import { randomFrom } from '../support/workload.ts';

const LIFE_MS_MAX = 4_000;

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
  kills: number;
  lifeMsMax: number;
}

/** A killed deliver's partitions are free when its session times out, 10 s later. */
const REJOIN_MS = 12_000;

const PIPELINES: readonly Killed[] = (['mysql', 'mariadb'] as const).flatMap((database) => [
  {
    database,
    topics: 'embedded',
    command: 'run',
    beside: null,
    points: EMBEDDED_POINTS,
    kills: EXTENT.kills,
    lifeMsMax: LIFE_MS_MAX,
  },
  {
    database,
    topics: 'Kafka',
    command: 'capture',
    beside: 'deliver',
    points: KAFKA_CAPTURE_POINTS,
    kills: EXTENT.kills,
    lifeMsMax: LIFE_MS_MAX,
  },
  {
    database,
    topics: 'Kafka',
    command: 'deliver',
    beside: 'capture',
    points: DELIVER_POINTS,
    kills: Math.ceil(EXTENT.kills / 5),
    lifeMsMax: REJOIN_MS + LIFE_MS_MAX,
  },
]);

describe.concurrent(`kill -9 under a running workload (seed ${SEED})`, () => {
  it.each(PIPELINES)(
    'of $command from $database through $topics topics loses nothing, at any point',
    async ({ database, topics, command, beside, points, kills, lifeMsMax }) => {
      const random = randomFrom(SEED + points.length);
      const server = injectServices()[database];
      await using pipeline = await Pipeline.open({ database: server, topics });
      const stopWriting = pipeline.write();
      await using other = beside === null ? null : pipeline.start(beside);
      const reached = new Set<string>();
      for (let kill = 0; kill < kills; kill++) {
        // All points in turn, sooner or later in the program's life; every fourth at any moment.
        const point = points[Math.floor(random() * points.length)] ?? '';
        const nth = 1 + Math.floor(random() ** 2 * 20);
        const isArmed = kill % 4 !== 3;
        const armed: Record<string, string> = isArmed ? { CRASH_AT: `${point}:${nth}` } : {};
        await using program = pipeline.start(command, armed);
        const lifeMs = isArmed ? lifeMsMax : 300 + random() * (lifeMsMax - 1_000);
        const ended = await Promise.race([program.ended, sleep(lifeMs, null)]);
        if (ended === null) continue;
        expect(ended.code, `killed, not failed: ${ended.stderr}`).toBeNull();
        reached.add(point);
      }
      await stopWriting();
      await using last = pipeline.start(command);
      const delivering = beside === 'deliver' && other !== null ? other : last;
      await last.ready();
      await pipeline.settle([await delivering.ready()]);
      expect(await pipeline.problems(), last.stderr).toEqual([]);
      const { calls } = pipeline.history;
      expect(calls.length).toBeGreaterThan(0);
      process.stderr.write(
        `kills: ${kills} of ${command}, ${database}, ${topics}: ${reached.size} of ${points.length} points, ${calls.length} calls\n`,
      );
    },
    600_000,
  );
});

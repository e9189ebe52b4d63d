import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure } from './figures.ts';
import { type Say, catchUpBeside, onFields } from './peers/beside.ts';
import { ours } from './peers/ours.ts';
import { Running } from './peers/running.ts';
import { type Fields, bookmarked, catchUp } from './peers/turn.ts';
import { PROGRAM, type Stage, until } from './stage.ts';

const PARTITIONS = 6;
const POLL_MS = 50;

/** Capture by itself, over logs with more and more rows in a transaction. */
export async function captureGrowth(
  stage: Stage,
  sizes: readonly { rows: number; perTransaction: number }[],
  rounds: number,
  say: Say,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const size of sizes) {
    const what = `growth.capture-${size.perTransaction}`;
    figures.push(...(await catchUpBeside(stage, [ours], { ...size, rounds }, what, say)));
  }
  return figures;
}

/** Reads a whole topic as a group of its own; the highest resident memory on the way. */
async function deliverAll({ scene, topics, folder }: Fields, topic: string): Promise<number> {
  const group = `${topic}-deliver`;
  const env = {
    ...scene.env,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP_ID: group,
    LOG_FILE: 'off',
    STATE_DIR: join(folder, 'deliver'),
  };
  await using running = new Running({ command: [PROGRAM, 'deliver'], env }, folder);
  const count = await topics.count(topic);
  await until(`deliver has read ${count} messages`, POLL_MS, async () => {
    if (running.hasEnded) throw new Error(`deliver has ended:\n${running.logTail()}`);
    return (await topics.finished(topic, group)) >= count;
  });
  const peak = running.peakMegabytes();
  await running.stop();
  return peak;
}

/**
 * How much memory capture takes with so many rows waiting in the log, and deliver with as many
 * messages of eligible users waiting in the topic.
 */
export async function memoryGrowth(
  stage: Stage,
  backlogs: readonly number[],
  rounds: number,
  say: Say,
): Promise<Figure[]> {
  const unit = 'MB peak RSS';
  const figures: Figure[] = [];
  for (const rows of backlogs) {
    const captures: number[] = [];
    const delivers: number[] = [];
    await onFields(stage, say, 'pro', async (fields) => {
      for (let round = 0; round < rounds; round += 1) {
        say(`memory with ${rows} rows waiting, round ${round + 1}/${rounds}`);
        const turn = await bookmarked(fields, ours);
        await fields.views.fill(rows, 1_000);
        captures.push((await catchUp(fields, turn)).peakMegabytes);
        delivers.push(await deliverAll(fields, turn.topic));
        await fields.topics.delete([turn.topic]);
      }
    });
    figures.push({ id: `memory.capture-${rows}`, unit, values: captures });
    figures.push({ id: `memory.deliver-${rows}`, unit, values: delivers });
  }
  return figures;
}

/** What the topic takes on the disk, in bytes a message; null where its files can't be read. */
function bytesAMessage(kafkaDir: string | null, topic: string, messages: number): number | null {
  if (kafkaDir === null) return null;
  let bytes = 0;
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const file = join(kafkaDir, 'data', `${topic}-${partition}`, `${'0'.repeat(20)}.log`);
    bytes += statSync(file).size;
  }
  return bytes / messages;
}

/** With each compression: written from a backlog, in large batches, and live, in small ones. */
export async function messageBytes(
  stage: Stage,
  { rows, perSecond, seconds }: { rows: number; perSecond: number; seconds: number },
  say: Say,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  await onFields(stage, say, 'free', async (fields) => {
    for (const compression of ['none', 'gzip', 'zstd']) {
      const scene = {
        ...fields.scene,
        env: { ...fields.scene.env, KAFKA_COMPRESSION: compression },
      };
      const own = { ...fields, scene };
      const add = (kind: string, bytes: number | null): void => {
        const id = `message-bytes.${kind}-${compression}`;
        const unit = 'bytes';
        if (bytes !== null) figures.push({ id, unit, values: [bytes] });
        else {
          const notMeasured = "Kafka's files can't be read from here";
          figures.push({ id, unit, values: [], notMeasured });
        }
      };
      say(`bytes a message, compression ${compression}`);
      const waiting = await bookmarked(own, ours);
      const live = await bookmarked(own, ours);
      await fields.views.fill(rows, 1_000);
      await catchUp(own, waiting);
      const count = await fields.topics.count(waiting.topic);
      add('backlog', bytesAMessage(stage.kafka.dir, waiting.topic, count));
      await using running = new Running(live.command, live.folder);
      const goal = live.messages + fields.views.written - live.rows;
      await until('it reads', POLL_MS, async () => (await fields.topics.count(live.topic)) >= goal);
      const before = bytesAMessage(stage.kafka.dir, live.topic, 1);
      await fields.views.live(perSecond, seconds);
      const messages = perSecond * seconds;
      const all = goal + messages;
      await until(
        'it has read',
        POLL_MS,
        async () => (await fields.topics.count(live.topic)) >= all,
      );
      await sleep(200);
      const after = bytesAMessage(stage.kafka.dir, live.topic, 1);
      add('live', before === null || after === null ? null : (after - before) / messages);
      await running.stop();
    }
  });
  return figures;
}

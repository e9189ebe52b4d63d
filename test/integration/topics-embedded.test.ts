import { spawn } from 'node:child_process';
import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import type { TopicSettings } from '../../src/settings/types.ts';
import { openFile, topicsFile } from '../../src/topics/embedded/file.ts';
import { BatchSet, asBatchSet } from '../../src/topics/batch/batch-set.ts';
import { EmbeddedLog } from '../../src/topics/embedded/log.ts';
import type { OutgoingMessage } from '../../src/topics/port.ts';
import { systemClock } from '../../src/model/clock.ts';
import { dropAllOld } from '../../src/topics/embedded/retention.ts';
import { openTopics } from '../../src/topics/open.ts';
import { notOutlivingUs } from '../../tools/services/server-process.ts';
import { until } from '../support/program.ts';
import { SmallDisk, canMount } from '../support/small-disk.ts';
import { Reader, message, open, readAll, settingsFor } from '../support/topics.ts';

const HOUR_MS = 3_600_000;
const CHILD = new URL('../support/topics-member.ts', import.meta.url).pathname;

/** A process that holds a group's place, and says so. */
async function holdElsewhere(settings: TopicSettings, group: string) {
  const holding = [process.execPath, CHILD, JSON.stringify(settings), group] as const;
  const [command, ...args] = notOutlivingUs(holding, 'KILL');
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child;
}

describe('the embedded topics', () => {
  it('refuse a group that another process delivers for, until that is killed', async () => {
    const settings = settingsFor('embedded');
    await using topics = await open(settings);
    const child = await holdElsewhere(settings, 'g');
    const join = new Reader().join(topics, 'g');
    await expect(join).rejects.toThrow(UnavailableError);
    await expect(join).rejects.toThrow(/stop it first, or set another STATE_DIR/);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    await (await new Reader().join(topics, 'g')).leave();
  });

  it('reject, and never throw, when they are asked after their end', async () => {
    const topics = await open(settingsFor('embedded'));
    await topics[Symbol.asyncDispose]();
    const asked = topics.bounds([topics.names.pageViews]);
    await expect(asked).rejects.toThrow(/not open|finalized/);
  });

  it('save a checkpoint with its messages or not at all', async () => {
    await using topics = await open(settingsFor('embedded'));
    await using publisher = await topics.publisher();
    await publisher.publish([], { source: 'a', value: '1' });
    const bad = publisher.publish(
      [message(topics.names.pageViews, 1, 'x'), message('no such topic', 1, 'y')],
      { source: 'a', value: '2' },
    );
    await expect(bad).rejects.toThrow(/no such topic/);
    expect(await publisher.loadCheckpoint('a')).toBe('1');
    expect(await readAll(topics, await topics.bounds([topics.names.pageViews]))).toEqual([]);
  });

  // Guards the turn in EmbeddedPublisher: a queue of 16 MB is written in one go otherwise.
  it('leave time for everything else between two publishes', async () => {
    await using topics = await open(settingsFor('embedded'));
    await using publisher = await topics.publisher();
    let turns = 0;
    const count = (): void => {
      turns += 1;
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    for (let i = 0; i < 10; i++) {
      const batch = publisher.batch();
      for (let k = 0; k < 500; k++) batch.push(message(topics.names.pageViews, k, `${i}`));
      await publisher.publish(batch);
    }
    clearImmediate(counting);
    expect(turns).toBeGreaterThan(3);
  });

  it('drop what is old and nothing else; offsets stay and readers go on at the begin', async () => {
    const settings = settingsFor('embedded');
    const nowMs = Date.now();
    await using topics = await open(settings);
    const { pageViews } = topics.names;
    const db = openFile(settings.stateDir);
    const log = new EmbeddedLog(db);
    const append = (messages: OutgoingMessage[], nowMs: number): void => {
      const set = new BatchSet({ partitionsOf: (topic) => log.partitions(topic), nowMs: null });
      log.append(
        asBatchSet(messages, () => set),
        null,
        nowMs,
      );
    };
    // More than one step's worth, of an earlier time than the rest but for one late clock.
    const old = Array.from({ length: 25_000 }, (_, i) => message(pageViews, 1, `old ${i}`, 9_000));
    append(old.slice(0, 12_000), nowMs - 20 * HOUR_MS);
    append(old.slice(12_000), nowMs - 20 * HOUR_MS);
    append([message(pageViews, 1, 'mark', 1_000)], nowMs - 19 * HOUR_MS);
    append([message(pageViews, 1, 'new', 2_000)], nowMs - HOUR_MS);
    const partition = (await topics.bounds([pageViews])).find(({ end }) => end > 0)!;
    log.commit('g', [{ ...partition, offset: 100 }], '');
    const { dropped, unread } = await dropAllOld(
      log,
      nowMs - 10 * HOUR_MS,
      new AbortController().signal,
      systemClock,
    );
    db.close();
    expect(dropped).toBeGreaterThanOrEqual(25_000);
    expect(unread).toBe(dropped - 100);
    const after = (await topics.bounds([pageViews])).find(({ end }) => end > 0)!;
    expect(after).toEqual({ ...partition, begin: dropped, end: 25_002 });
    const reader = await new Reader().join(topics, 'g');
    await until('the rest', () => Promise.resolve(reader.values().includes('new')));
    expect(reader.values().some((value) => value.startsWith('old'))).toBe(false);
    expect((await reader.member!.lag()).get(pageViews)).toBe(25_002 - dropped);
    await reader.leave();
    expect((await readAll(topics, [{ ...after, begin: 0 }])).at(-1)?.offset).toBe(25_001);
    const at = await topics.offsetsAtTime(pageViews, 2_000);
    expect(at.find((one) => one.partition === partition.partition)?.offset).toBe(25_001);
  });

  it('let timers run while much is read', async () => {
    await using topics = await open(settingsFor('embedded'));
    await using publisher = await topics.publisher();
    const { pageViews } = topics.names;
    await publisher.publish(
      Array.from({ length: 60_000 }, (_, i) => message(pageViews, 1, `${i}`)),
    );
    const reader = new Reader();
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    await readAll(topics, await topics.bounds([pageViews]));
    expect(ticks).toBeGreaterThan(5);
    ticks = 0;
    await reader.join(topics, 'g');
    await until('all are read', () => Promise.resolve(reader.received.length === 60_000));
    expect(ticks).toBeGreaterThan(5);
    clearInterval(timer);
    await reader.leave();
  });

  it('can be opened by eight processes at once, where there was nothing', async () => {
    const settings = settingsFor('embedded');
    const children = await Promise.all(
      Array.from({ length: 8 }, (_, i) => holdElsewhere(settings, `g${i}`)),
    );
    await using topics = await open(settings);
    expect(await topics.bounds([topics.names.pageViews])).toHaveLength(6);
    for (const child of children) expect(child.exitCode).toBeNull();
    for (const child of children) child.kill('SIGKILL');
  });
});

describe('a topics file that cannot be used', () => {
  const log = pino({ level: 'silent' });

  it('is named, with the way out, when it is no database', async () => {
    const settings = settingsFor('embedded');
    writeFileSync(topicsFile(settings.stateDir), 'this is no database at all'.repeat(200));
    const opened = openTopics(settings, log);
    await expect(opened).rejects.toThrow(UnavailableError);
    await expect(opened).rejects.toThrow(/restore it from a copy, or move it/);
  });

  it('is left as it is when it belongs to another program', async () => {
    const settings = settingsFor('embedded');
    const file = topicsFile(settings.stateDir);
    const foreign = new DatabaseSync(file);
    foreign.exec('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
    foreign.close();
    await expect(openTopics(settings, log)).rejects.toThrow(/another program.*STATE_DIR/);
    const again = new DatabaseSync(file);
    expect(again.prepare('SELECT a FROM theirs').all()).toEqual([{ a: 1 }]);
    expect(again.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' });
    again.close();
  });

  it('is said to be of a later version', async () => {
    const settings = settingsFor('embedded');
    await (await open(settings))[Symbol.asyncDispose]();
    const db = new DatabaseSync(topicsFile(settings.stateDir));
    db.exec('PRAGMA user_version = 99');
    db.close();
    await expect(openTopics(settings, log)).rejects.toThrow(/format 99/);
  });

  it('ends readers and writers with a sentence when its middle is overwritten', async () => {
    const settings = settingsFor('embedded');
    const { stateDir } = settings;
    {
      await using topics = await open(settings);
      await using publisher = await topics.publisher();
      await publisher.publish(
        Array.from({ length: 5_000 }, (_, i) => message(topics.names.pageViews, i, 'x'.repeat(99))),
      );
    }
    const file = topicsFile(stateDir);
    const { size } = statSync(file);
    truncateSync(file, 64 * 1024);
    truncateSync(file, size); // Zeroes from there on.
    await using topics = await openTopics(settings, log);
    const { pageViews } = topics.names;
    const all = (async () => readAll(topics, await topics.bounds([pageViews])))();
    await expect(all).rejects.toThrow(UnavailableError);
    const reader = await new Reader().join(topics, 'g');
    await expect(reader.member!.failed).rejects.toThrow(/cannot be read.*restore it from a copy/);
    await reader.leave();
    await using publisher = await topics.publisher();
    const much = Array.from({ length: 500 }, (_, i) => message(pageViews, i, 'y'));
    await expect(publisher.publish(much)).rejects.toThrow(UnavailableError);
  });
});

describe.runIf(canMount)('a full disk under the embedded topics', () => {
  it('makes capture wait, once saying what to do, and go on when there is room', async () => {
    using disk = new SmallDisk('1m');
    const lines: { level: number; msg: string }[] = [];
    const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const ballast = join(disk.path, 'ballast');
    writeFileSync(ballast, Buffer.alloc(700_000));
    const settings = { ...settingsFor('embedded'), stateDir: disk.path };
    await using topics = await openTopics(settings, logger);
    await topics.ensureTopics();
    await using publisher = await topics.publisher();
    const { pageViews } = topics.names;
    const many = Array.from({ length: 50 }, (_, i) => message(pageViews, 1, 'x'.repeat(7_000) + i));
    let isDone = false;
    const done = publisher.publish(many, { source: 'a', value: '1' }).then(() => (isDone = true));
    await sleep(2_500);
    expect(isDone).toBe(false);
    expect(await publisher.loadCheckpoint('a')).toBeNull();
    expect((await topics.bounds([pageViews])).every(({ end }) => end === 0)).toBe(true);
    const errors = lines.filter(({ level }) => level >= 40);
    expect(errors.map(({ msg }) => msg)).toEqual([
      expect.stringMatching(/cannot be written .*free disk space under STATE_DIR/),
    ]);
    rmSync(ballast);
    await done;
    const all = await readAll(topics, await topics.bounds([pageViews]));
    expect(all.map(({ value }) => value)).toEqual(many.map(({ value }) => value));
    expect(await publisher.loadCheckpoint('a')).toBe('1');
  });
});

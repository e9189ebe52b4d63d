import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { type Scene, type Stage, until } from '../stage.ts';
import { percentile } from '../statistics.ts';
import type { Peer, PeerCommand, PeerPlace } from './peer.ts';
import { Running } from './running.ts';
import type { WatchedTopics } from './topic.ts';
import type { Views } from './views.ts';

/** Between two rows that ask whether a program reads yet. */
const ROW_EVERY_MS = 500;
/** Nothing more comes for so long: what was written is all there. */
const STILL_MS = 1_000;
const POLL_MS = 20;
const SERVER_ID_MIN = 500_000;

let turns = 0;

export interface Fields {
  stage: Stage;
  scene: Scene;
  views: Views;
  topics: WatchedTopics;
  say: (line: string) => void;
  /** Where every program has a folder of its own. */
  folder: string;
}

/** One program in one round: it has a topic of its own, and has read up to where it was stopped. */
export interface Turn {
  peer: Peer;
  topic: string;
  folder: string;
  command: PeerCommand;
  /** Messages in its topic, and rows in the table, when it was stopped. */
  messages: number;
  rows: number;
}

async function newPlace(fields: Fields, peer: Peer): Promise<PeerPlace> {
  const { stage, scene, topics, say } = fields;
  const number = (turns += 1);
  const name = `${scene.name}_${peer.id.replaceAll('-', '_')}_${number}`;
  const topic = `${name}.page_views`;
  await topics.create(topic);
  return {
    database: stage.server,
    brokers: stage.kafka.brokers,
    schema: scene.name,
    topic,
    name,
    serverId: SERVER_ID_MIN + process.pid * 10 + number,
    folder: mkdtempSync(join(fields.folder, `${peer.id}-`)),
    env: { ...scene.env, STATE_DIR: 'state', RESULTS_DIR: 'results' },
    say,
  };
}

/** @throws Error with the end of its output, where it has ended. */
function checkRuns(running: Running, peer: Peer): void {
  if (running.hasEnded) throw new Error(`${peer.title} has ended:\n${running.logTail()}`);
}

/** Until a row has come through, and all that came before it: it captures from here on. */
export async function untilItReads(
  { views, topics }: Fields,
  running: Running,
  { peer, topic }: Pick<Turn, 'peer' | 'topic'>,
): Promise<void> {
  let rowAtMs = Number.NEGATIVE_INFINITY;
  await until(`${peer.title} reads`, POLL_MS, async () => {
    checkRuns(running, peer);
    if (performance.now() - rowAtMs >= ROW_EVERY_MS) {
      rowAtMs = performance.now();
      await views.one();
    }
    return (await topics.count(topic)) > 0;
  });
  let last = { count: 0, atMs: performance.now() };
  await until(`${peer.title} has read all`, POLL_MS, async () => {
    const count = await topics.count(topic);
    if (count !== last.count) last = { count, atMs: performance.now() };
    return performance.now() - last.atMs >= STILL_MS;
  });
}

/** Starts a program once, so that it has a place in the log to go on from. */
export async function bookmarked(fields: Fields, peer: Peer): Promise<Turn> {
  const place = await newPlace(fields, peer);
  const command = await peer.prepare(place);
  const turn = { peer, topic: place.topic, folder: place.folder, command };
  await using running = new Running(command, place.folder);
  await untilItReads(fields, running, turn);
  const rows = fields.views.written;
  await running.stop();
  const messages = await fields.topics.count(place.topic);
  return { ...turn, messages, rows };
}

/** Numbers alone, each a figure. */
export type CatchUp = {
  rowsPerSecond: number;
  cpuSecondsPerMillion: number;
  peakMegabytes: number;
  /** From the start of the process to its first message. */
  firstSeconds: number;
};

interface Look {
  atMs: number;
  count: number;
  cpuSeconds: number;
}

/** Starts it again, with the rows that were written meanwhile waiting in the log. */
export async function catchUp({ views, topics }: Fields, turn: Turn): Promise<CatchUp> {
  const { peer, topic, command, folder } = turn;
  const goal = turn.messages + views.written - turn.rows;
  const startMs = performance.now();
  await using running = new Running(command, folder);
  const look = async (): Promise<Look> => {
    const count = await topics.count(topic);
    return { atMs: performance.now(), count, cpuSeconds: running.cpuSeconds() };
  };
  let before = await look();
  let first: Look | null = null;
  let last = before;
  await until(`${peer.title}: ${goal} messages`, POLL_MS, async () => {
    checkRuns(running, peer);
    last = await look();
    if (last.count > turn.messages) first ??= last;
    else before = last;
    return last.count >= goal;
  });
  const firstSeen = first ?? last;
  // Where the first look that sees some sees all, the rate is from the last that saw none.
  const from = firstSeen.count < goal ? firstSeen : before;
  const rows = last.count - from.count;
  const peakMegabytes = running.peakMegabytes();
  await running.stop();
  return {
    rowsPerSecond: rows / ((last.atMs - from.atMs) / 1000),
    cpuSecondsPerMillion: ((last.cpuSeconds - from.cpuSeconds) / rows) * 1e6,
    peakMegabytes,
    firstSeconds: (firstSeen.atMs - startMs) / 1000,
  };
}

export type Live = {
  p50Ms: number;
  p99Ms: number;
  commitsPerSecond: number;
  /** Cores that it kept busy meanwhile. */
  cores: number;
};

const WARM_SECONDS = 2;

/** From commit (the server's answer) to the broker's time of the message, whole ms. */
export async function live(
  fields: Fields,
  peer: Peer,
  perSecond: number,
  seconds: number,
): Promise<Live> {
  const { views, topics } = fields;
  const place = await newPlace(fields, peer);
  await using running = new Running(await peer.prepare(place), place.folder);
  const turn = { peer, topic: place.topic };
  await untilItReads(fields, running, turn);
  await views.live(perSecond, WARM_SECONDS);
  const cpuBefore = running.cpuSeconds();
  const startMs = performance.now();
  const { committedMs, perSecond: commitsPerSecond } = await views.live(perSecond, seconds);
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  const cores = (running.cpuSeconds() - cpuBefore) / elapsedSeconds;
  let count = 0;
  let stillSinceMs = performance.now();
  await until(`${peer.title} has read all`, POLL_MS, async () => {
    checkRuns(running, peer);
    const now = await topics.count(turn.topic);
    if (now !== count) stillSinceMs = performance.now();
    count = now;
    return count >= committedMs.size && performance.now() - stillSinceMs >= STILL_MS;
  });
  await running.stop();
  const waits = new Map<number, number>();
  for (const { appendedMs, value } of await topics.read(turn.topic, count)) {
    const id = peer.viewIdOf(JSON.parse(value));
    const committed = committedMs.get(id);
    // A repeat is no later arrival.
    if (committed !== undefined && !waits.has(id)) waits.set(id, appendedMs - committed);
  }
  if (waits.size < committedMs.size) {
    throw new Error(`${peer.title}: ${committedMs.size} commits, ${waits.size} messages of them`);
  }
  return {
    p50Ms: percentile([...waits.values()], 0.5),
    p99Ms: percentile([...waits.values()], 0.99),
    commitsPerSecond,
    cores,
  };
}

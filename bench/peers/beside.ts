import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import type { Figure } from '../figures.ts';
import { joined } from '../figures.ts';
import { type Stage, addCustomers, openScene } from '../stage.ts';
import { debezium } from './debezium.ts';
import { maxwell } from './maxwell.ts';
import { ours } from './ours.ts';
import type { Peer } from './peer.ts';
import { WatchedTopics } from './topic.ts';
import { type Fields, type Turn, bookmarked, catchUp, live } from './turn.ts';
import { Views } from './views.ts';

export const PEERS: readonly Peer[] = [ours, debezium, maxwell];
const CUSTOMERS = 1_000;

export interface CatchUpSize {
  rows: number;
  perTransaction: number;
  rounds: number;
}

export type Say = (line: string) => void;

/** A database, a simulator that nobody calls, and rows to be written. */
export async function onFields<T>(
  stage: Stage,
  say: Say,
  plan: 'free' | 'pro',
  work: (fields: Fields) => Promise<T>,
): Promise<T> {
  await using scene = await openScene(stage, 'Kafka');
  await addCustomers(scene, CUSTOMERS, plan);
  await using topics = await WatchedTopics.open(stage.kafka.brokers);
  await using views = await Views.of(stage, scene);
  const folder = mkdtempSync(join(tmpdir(), 'iterable-sync-bench-peers-'));
  try {
    return await work({ stage, scene, views, topics, say, folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Those that can be had here, one after the other, round by round. One that can't be had, or fails,
 * has its reason in place of its figures; the others go on.
 */
async function inTurn<T>(
  peers: readonly Peer[],
  rounds: number,
  missing: Map<Peer, string>,
  work: (peer: Peer, round: number) => Promise<T>,
): Promise<{ peer: Peer; result: T }[]> {
  const results: { peer: Peer; result: T }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of peers) {
      if (missing.has(peer)) continue;
      try {
        results.push({ peer, result: await work(peer, round) });
      } catch (error) {
        if (peer === ours) throw error;
        const { message } = error as Error;
        // The reason is one line of a table; the rest of it is for who looks into it.
        if (!(error instanceof UnavailableError)) process.stderr.write(`${message}\n`);
        missing.set(peer, (message.split('\n')[0] ?? '').replace(/:$/, ''));
      }
    }
  }
  return results;
}

type Units = Readonly<Record<string, string>>;

/** A figure for every program and every number of the results. */
function figuresOf(
  what: string,
  peers: readonly Peer[],
  units: Units,
  results: readonly { peer: Peer; result: Readonly<Record<string, number>> }[],
  missing: ReadonlyMap<Peer, string>,
): Figure[] {
  return Object.entries(units).flatMap(([field, unit]) =>
    peers.map((peer): Figure => {
      const id = `${what}.${field}.${peer.id}`;
      const reason = missing.get(peer);
      if (reason !== undefined) return { id, unit, values: [], notMeasured: reason };
      const own = results.filter((one) => one.peer === peer);
      return { id, unit, values: own.map(({ result }) => result[field] ?? Number.NaN) };
    }),
  );
}

const CATCH_UP_UNITS: Units = {
  rowsPerSecond: 'rows/s',
  cpuSecondsPerMillion: 'CPU s a million rows',
  peakMegabytes: 'MB peak RSS',
  firstSeconds: 's to the first row',
};
const LIVE_UNITS: Units = {
  p50Ms: 'ms p50',
  p99Ms: 'ms p99',
  commitsPerSecond: 'commits/s',
  cores: 'cores',
};

/**
 * All of them over one log: each has read up to where the rows begin, in a topic of its own for
 * every round, before these are written.
 */
export async function catchUpBeside(
  stage: Stage,
  peers: readonly Peer[],
  { rows, perTransaction, rounds }: CatchUpSize,
  what: string,
  say: Say,
): Promise<Figure[]> {
  const missing = new Map<Peer, string>();
  return await onFields(stage, say, 'free', async (fields) => {
    const turns = await inTurn(peers, rounds, missing, (peer) => bookmarked(fields, peer));
    say(`writing ${rows} rows, ${perTransaction} a transaction`);
    await fields.views.fill(rows, perTransaction);
    const turnOf = (peer: Peer, round: number): Turn =>
      turns.filter((turn) => turn.peer === peer)[round]!.result;
    const results = await inTurn(peers, rounds, missing, async (peer, round) => {
      say(`${what}: ${peer.title}, round ${round + 1}/${rounds}`);
      return await catchUp(fields, turnOf(peer, round));
    });
    await fields.topics.delete(turns.map(({ result }) => result.topic));
    return joined(figuresOf(what, peers, CATCH_UP_UNITS, results, missing));
  });
}

/** Each by itself, with commits at a rate that none of them is pressed by. */
export async function liveBeside(
  stage: Stage,
  peers: readonly Peer[],
  { perSecond, seconds, rounds }: { perSecond: number; seconds: number; rounds: number },
  say: Say,
): Promise<Figure[]> {
  const missing = new Map<Peer, string>();
  return await onFields(stage, say, 'free', async (fields) => {
    const what = `peers.live-${perSecond}`;
    const results = await inTurn(peers, rounds, missing, async (peer, round) => {
      say(`${what}: ${peer.title}, round ${round + 1}/${rounds}`);
      return await live(fields, peer, perSecond, seconds);
    });
    return figuresOf(what, peers, LIVE_UNITS, results, missing);
  });
}

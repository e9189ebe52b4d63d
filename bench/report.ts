import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { KAFKA_VERSION } from '../tools/services/kafka-program.ts';
import { type Figure, type Summary, summary } from './figures.ts';
import { PEERS } from './peers/beside.ts';
import type { Stage } from './stage.ts';

/** What figures belong to: taken elsewhere, or of other versions, they are not the same. */
export interface Surroundings {
  machine: string;
  node: string;
  database: string;
  kafka: string;
  peers: Record<string, string>;
}

export interface ReportedFigure extends Figure, Partial<Summary> {
  /** ISO date of the day it was taken. */
  date: string;
  isQuick: boolean;
}

export interface Report extends Surroundings {
  figures: ReportedFigure[];
}

export function surroundings(stage: Stage): Surroundings {
  const gigabytes = (totalmem() / 2 ** 30).toFixed(0);
  const { flavour, version } = stage.server;
  return {
    machine: `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, ${gigabytes} GB`,
    node: process.versions.node,
    database: `${flavour === 'mysql' ? 'MySQL' : 'MariaDB'} ${version}`,
    kafka: stage.kafka.dir === null ? 'not told' : KAFKA_VERSION,
    peers: Object.fromEntries(PEERS.slice(1).map(({ id, title }) => [id, title])),
  };
}

export function readReport(text: string): Report {
  return JSON.parse(text) as Report;
}

const sameSurroundings = (one: Surroundings, other: Surroundings): boolean => {
  const key = ({ machine, node, database, kafka }: Surroundings): string =>
    JSON.stringify([machine, node, database, kafka]);
  return key(one) === key(other);
};

/** New figures take the place of those with the same id; of other surroundings none are kept. */
export function merged(
  before: Report | null,
  now: Surroundings,
  figures: readonly Figure[],
  taken: { date: string; isQuick: boolean },
): Report {
  const isSame = before !== null && sameSurroundings(before, now);
  // What was only tried at small sizes goes once something was measured.
  const kept = (isSame ? before.figures : []).filter((one) => taken.isQuick || !one.isQuick);
  const byId = new Map(kept.map((figure) => [figure.id, figure]));
  for (const figure of figures) {
    const numbers = figure.values.length > 0 ? summary(figure.values) : {};
    byId.set(figure.id, { ...figure, ...numbers, ...taken });
  }
  // Their versions are those of the run that measured them.
  const isBeside = figures.some(({ id }) => id.startsWith('peers.'));
  const peers = before === null || isBeside ? now.peers : before.peers;
  return { ...now, peers, figures: [...byId.values()] };
}

/** Writes the figures into a file beside those that it holds. */
export function writeFigures(
  path: string,
  now: Surroundings,
  figures: readonly Figure[],
  isQuick: boolean,
): void {
  let before: Report | null = null;
  try {
    before = readReport(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const date = new Date().toISOString().slice(0, 10);
  const report = merged(before, now, figures, { date, isQuick });
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
}

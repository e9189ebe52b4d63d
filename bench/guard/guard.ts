import { readFileSync, writeFileSync } from 'node:fs';
import { numberText } from '../figures.ts';
import type { Measure } from '../measures.ts';
import type { Stage } from '../stage.ts';
import { captureCosts } from './capture-ratio.ts';
import type { Costs } from './cpu.ts';
import { deliverCosts } from './deliver-ratio.ts';
import { publishCosts } from './publish-ratio.ts';

/** Worse by more than a third fails. */
const WORSE_MAX = 4 / 3;
/** What is over its bar is measured again, so often in all: the best counts. */
const TRIES_MAX = 3;
const BASELINE = new URL('../guard.json', import.meta.url);

type Baseline = Readonly<Record<string, number>>;
type Say = (line: string) => void;

/** Each compares the CPU of one part of the program with that of the least that could do it. */
const TASKS: Readonly<
  Record<string, { title: string; costs: (stage: Stage, say: Say) => Promise<Costs> }>
> = {
  capture: {
    title: 'capture ÷ raw read of the binlog',
    costs: (stage, say) => captureCosts(stage, { rows: 100_000, rounds: 3 }, say),
  },
  publish: {
    title: 'publishing ÷ sending ready-made batches',
    costs: (stage) => publishCosts(stage, { publishes: 20, rounds: 12 }),
  },
  deliver: {
    title: 'delivery ÷ raw HTTP to the same simulator',
    costs: (stage) => deliverCosts(stage, { users: 4_000, rounds: 3 }),
  },
};

/** Of the least that each took: whatever else the machine does can only add to it. */
export const ratioOf = ({ own, reference }: Costs): number =>
  Math.min(...own) / Math.min(...reference);

/** The verdict on one ratio; `baseline` is null where there is none yet. */
export function judged(title: string, ratio: number, baseline: number | null): Measure {
  const value = `${numberText(ratio)} times the CPU`;
  if (baseline === null) return { name: title, value, bar: '', ok: null };
  const most = baseline * WORSE_MAX;
  return { name: title, value, bar: `≤ ${numberText(most)}`, ok: ratio <= most };
}

/**
 * Ratios, since they are alike on fast and slow machines, and of CPU, since others may be busy beside
 * it.
 */
export async function guard(stage: Stage, isRenewal: boolean, say: Say): Promise<Measure[]> {
  const baseline = isRenewal ? {} : (JSON.parse(readFileSync(BASELINE, 'utf8')) as Baseline);
  const measures: Measure[] = [];
  const renewed: Record<string, number> = {};
  for (const [name, { title, costs }] of Object.entries(TASKS)) {
    const wanted = baseline[name] ?? null;
    say(`guard: ${title}`);
    let ratio = ratioOf(await costs(stage, say));
    for (
      let tries = 1;
      tries < TRIES_MAX && judged(title, ratio, wanted).ok === false;
      tries += 1
    ) {
      say(`guard: ${numberText(ratio)}; once more, ${title}`);
      ratio = Math.min(ratio, ratioOf(await costs(stage, say)));
    }
    renewed[name] = Number(ratio.toPrecision(3));
    const figures = [{ id: `guard.${name}`, unit: 'times the CPU', values: [ratio] }];
    measures.push({ ...judged(title, ratio, wanted), figures });
  }
  if (isRenewal) writeFileSync(BASELINE, `${JSON.stringify(renewed, null, 2)}\n`);
  return measures;
}

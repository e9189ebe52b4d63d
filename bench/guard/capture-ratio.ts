import { onFields } from '../peers/beside.ts';
import { ours } from '../peers/ours.ts';
import { type Turn, bookmarked, catchUp } from '../peers/turn.ts';
import type { Stage } from '../stage.ts';
import { type Costs, cpuSecondsOf } from './cpu.ts';
import { type LogPosition, readRawBinlog } from './raw-binlog.ts';

/** Enough packets for the clock, and enough rows for the work on them. */
const PER_TRANSACTION = 20;
/** A read alone is over in some hundredths of a second. */
const RAW_READS = 4;
const RAW_SAMPLES = 4;

/** CPU of capture, and of a raw read of the same log. */
export async function captureCosts(
  stage: Stage,
  { rows, rounds }: { rows: number; rounds: number },
  say: (line: string) => void,
): Promise<Costs> {
  return await onFields(stage, say, 'free', async (fields) => {
    const turns: Turn[] = [];
    for (let round = 0; round < rounds; round += 1) turns.push(await bookmarked(fields, ours));
    const [status] = await fields.scene.connection.query(
      stage.server.flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW BINLOG STATUS',
    );
    const [{ File: file, Position: position }] = status as [{ File: string; Position: number }];
    const from: LogPosition = { file, position };
    await fields.views.fill(rows, PER_TRANSACTION);
    await readRawBinlog(stage.server, from);
    const costs: Costs = { own: [], reference: [] };
    for (const turn of turns) {
      const { cpuSecondsPerMillion } = await catchUp(fields, turn);
      costs.own.push((cpuSecondsPerMillion / 1e6) * rows);
      for (let sample = 0; sample < RAW_SAMPLES; sample += 1) {
        const seconds = await cpuSecondsOf(async () => {
          for (let n = 0; n < RAW_READS; n += 1) await readRawBinlog(stage.server, from);
        });
        costs.reference.push(seconds / RAW_READS);
      }
    }
    return costs;
  });
}

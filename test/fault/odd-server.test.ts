import { describe, expect, test } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { type DatabaseKind, startDatabase } from '../../tools/services/services.ts';
import { EXTENT, SEED } from '../support/extent.ts';
import { type CaseReport, createUser, tryCase } from '../support/odd/case.ts';
import { Dice } from '../support/odd/dice.ts';
import { drawServer } from '../support/odd/server.ts';
import { DATABASES, connectTo } from '../support/services.ts';

/** Two servers at a time. */
const LANES = 2;
/** Of one case: its program starts twice, and is waited for. */
const CASE_MS_MAX = 240_000;

const say = (line: string): void => void process.stderr.write(`odd server: ${line}\n`);

/** One server, started oddly, with one odd case after the other on it: a line for each. */
async function tryServer(number: number): Promise<string[]> {
  const seed = SEED + number * 1_000;
  const kind = DATABASES[number % DATABASES.length] ?? 'mysql';
  const { flags, gtid } = drawServer(new Dice(seed), kind);
  await using server = await startDatabase(kind, { say, flags, gtid });
  const { host, port, user, password } = server;
  const settings = {
    host,
    port,
    user,
    password,
    name: '',
    ssl: false,
    timeZone: '+00:00',
    model: DEFAULT_MODEL,
  };
  const connection = await connectTo(settings, null);
  await createUser(connection, kind);
  connection.destroy();
  const started = [...flags, ...(gtid ? [] : ['without GTIDs'])].join(' ');
  const lines: string[] = [];
  for (let i = 1; i <= EXTENT.oddCases; i++) {
    const line = lineOf(kind, started, await tryCase(server, kind, seed + i));
    lines.push(line);
    say(line);
  }
  return lines;
}

function lineOf(kind: DatabaseKind, started: string, report: CaseReport): string {
  const { seed, outcome, words, detail } = report;
  const what = [started, ...words].filter((word) => word !== '').join(', ');
  return `${outcome} ${kind} ${seed}: ${what}${detail === '' ? '' : ` -> ${detail}`}`;
}

const lanes = Array.from({ length: LANES }, (_, lane) =>
  Array.from({ length: EXTENT.oddServers }, (_, number) => number).filter(
    (number) => number % LANES === lane,
  ),
);

describe(`servers with odd settings and tables (seed ${SEED})`, () => {
  test.concurrent.each(lanes.map((numbers) => ({ numbers })))(
    'are refused in words by doctor and run alike, or followed to what the rule says: $numbers',
    async ({ numbers }) => {
      const lines: string[] = [];
      for (const number of numbers) lines.push(...(await tryServer(number)));
      expect(lines.filter((line) => line.startsWith('WRONG'))).toEqual([]);
      expect(lines).toHaveLength(numbers.length * EXTENT.oddCases);
    },
    CASE_MS_MAX * EXTENT.oddCases * EXTENT.oddServers,
  );
});

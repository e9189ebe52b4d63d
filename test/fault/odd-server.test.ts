import { describe, expect, test } from 'vitest';
import { type DatabaseKind, startDatabase } from '../../tools/services/services.ts';
import { type CaseReport, createUser, tryCase } from '../support/odd/case.ts';
import { Dice } from '../support/odd/dice.ts';
import { drawServer } from '../support/odd/server.ts';
import { SEED } from '../support/pipeline.ts';
import { DATABASES, connectTo } from '../support/services.ts';

const SERVERS = Number(process.env['ODD_SERVERS'] ?? 3);
const CASES_EACH = Number(process.env['ODD_CASES'] ?? 4);
/** Of one case: its program starts twice, and is waited for. */
const CASE_MS_MAX = 120_000;

const say = (line: string): void => void process.stderr.write(`odd server: ${line}\n`);

interface ServerReport {
  kind: DatabaseKind;
  flags: string;
  cases: CaseReport[];
}

/** One server, started oddly, with one odd case after the other on it. */
async function tryServer(number: number): Promise<ServerReport> {
  const seed = SEED + number * 1_000;
  const kind = DATABASES[number % DATABASES.length] ?? 'mysql';
  const { flags, gtid } = drawServer(new Dice(seed), kind);
  await using server = await startDatabase(kind, { say, flags, gtid });
  const { host, port, user, password } = server;
  const settings = { host, port, user, password, name: '', ssl: false, timeZone: '+00:00' };
  const connection = await connectTo(settings, null);
  await createUser(connection, kind);
  connection.destroy();
  const words = [...flags, ...(gtid ? [] : ['without GTIDs'])].join(' ');
  const cases: CaseReport[] = [];
  for (let i = 1; i <= CASES_EACH; i++) {
    const report = await tryCase(server, kind, seed + i);
    cases.push(report);
    say(lineOf(kind, words, report));
  }
  return { kind, flags: words, cases };
}

const lineOf = (
  kind: string,
  flags: string,
  { seed, outcome, words, detail }: CaseReport,
): string =>
  `${outcome} ${kind} ${seed}: ${[flags, ...words].join(', ')}${detail === '' ? '' : ` -> ${detail}`}`;

describe(`a server with odd settings and tables (seed ${SEED})`, () => {
  test.concurrent.each(Array.from({ length: SERVERS }, (_, number) => number))(
    'is refused in words by doctor and run alike, or followed to what the rule says: server %s',
    async (number) => {
      const { kind, flags, cases } = await tryServer(number);
      const wrong = cases.filter(({ outcome }) => outcome === 'WRONG');
      expect(wrong.map((report) => lineOf(kind, flags, report))).toEqual([]);
    },
    CASES_EACH * CASE_MS_MAX,
  );
});

import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leaksIn } from '../../tools/leaks.ts';
import { type Ended, Program, environment, runToEnd, until } from '../support/program.ts';
import { type FreshDatabase, freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';

const KEY = 'planted-key-5f2c';
const PASSWORD = 'planted-password-9a1b';
const SASL = 'planted-sasl-77de';
const USER = 'planted_user';

type Answer = (body: string) => { status: number; text: string };
let answer: Answer;
/** An Iterable that answers what a test wants, the key it was sent included. */
const iterable = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => {
    const { status, text } = answer(body);
    response.writeHead(status).end(text);
  });
});
let database: FreshDatabase;
let iterableUrl: string;

beforeAll(async () => {
  database = await freshDatabase(injectServices().mysql);
  await setUpTables(database.connection);
  await database.connection.query(
    `CREATE USER IF NOT EXISTS ${USER}@'%' IDENTIFIED BY '${PASSWORD}';
     GRANT SELECT ON ${database.settings.name}.* TO ${USER}@'%';
     GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${USER}@'%'`,
  );
  await new Promise<void>((resolve) => {
    iterable.listen(0, '127.0.0.1', resolve);
  });
  iterableUrl = `http://127.0.0.1:${(iterable.address() as AddressInfo).port}`;
});
afterAll(async () => {
  iterable.closeAllConnections();
  iterable.close();
  await database.connection.query(`DROP USER IF EXISTS ${USER}@'%'`);
  await database[Symbol.asyncDispose]();
});

const env = (more: Record<string, string> = {}): Record<string, string> =>
  environment({ ...database.settings, user: USER, password: PASSWORD }, iterableUrl, {
    ITERABLE_API_KEY: KEY,
    ...more,
  });

const echo: Answer = (body) => {
  const { email } = JSON.parse(body) as { email: string };
  const msg = `Invalid ${email} or "${email}" or ${encodeURIComponent(email)} with Api-Key ${KEY}`;
  return {
    status: 400,
    text: JSON.stringify({ code: `Bad ${email} ${KEY}`, msg, params: { email, KEY } }),
  };
};
const success: Answer = () => ({ status: 200, text: '{"code":"Success","msg":"","params":null}' });

/** What the program left: its log file and its results. */
function left(of: Record<string, string>): { log: string; results: string } {
  const folder = of['RESULTS_DIR'] ?? '';
  let results = '';
  try {
    for (const name of readdirSync(folder)) results += readFileSync(join(folder, name), 'utf8');
  } catch {
    // There may be none.
  }
  return { log: readFileSync(of['LOG_FILE'] ?? '', 'utf8'), results };
}

function expectNoLeaks(of: Record<string, string>, ended: Ended, pages: string[] = []): void {
  const { log, results } = left(of);
  for (const text of [ended.stdout, ended.stderr, ...pages]) {
    expect(leaksIn(text, 'output')).toEqual([]);
    for (const secret of [KEY, PASSWORD, SASL]) expect(text).not.toContain(secret);
  }
  expect(leaksIn(log, 'log')).toEqual([]);
  expect(leaksIn(results, 'state')).toEqual([]);
}

describe('keys, passwords and addresses', () => {
  // Guards IterableHttp.#withoutKey and cleanMessage.
  it('stay inside when Iterable refuses and sends them back', async () => {
    answer = echo;
    const of = env();
    const ended = await runToEnd(['backfill'], of);
    expect(ended.code, ended.stderr).toBe(1);
    expect(ended.stderr).toContain('(address)');
    expectNoLeaks(of, ended);
    expect(left(of).results).toContain('sarah.johnson@email.com');
    const list = await runToEnd(['dead-letters', 'list'], of);
    expect(list.stdout).toContain('HTTP 400');
    expectNoLeaks(of, list);
    expectNoLeaks(of, await runToEnd(['dead-letters', 'list', '--json'], of));
    const bulk = await runToEnd(['backfill', '--bulk'], { ...of, LOG_LEVEL: 'debug' });
    expectNoLeaks(of, bulk);
  });

  it('stay inside when the key is refused, the database refuses, and doctor says so', async () => {
    answer = (): ReturnType<Answer> => ({
      status: 401,
      text: JSON.stringify({ code: 'BadApiKey', msg: `${KEY} of kate.taylor@email.com` }),
    });
    const of = env();
    const refused = await runToEnd(['backfill'], of);
    expect(refused.code).toBe(3);
    expectNoLeaks(of, refused);
    const denied = env({ DB_PASSWORD: `${PASSWORD}-wrong`, LOG_LEVEL: 'debug' });
    const ended = await runToEnd(['backfill'], denied);
    expect(ended.code).toBe(3);
    expectNoLeaks(denied, ended);
    for (const args of [['doctor'], ['doctor', '--json']]) {
      const doctor = await runToEnd(args, { ...denied, ITERABLE_API_BASE_URL: iterableUrl });
      expect(doctor.code).toBe(3);
      expectNoLeaks(denied, doctor);
    }
  });

  it('stay inside when the answer is not what Iterable writes', async () => {
    answer = (body) => ({ status: 200, text: `<html>${KEY} ${body}` });
    const of = env();
    // It is taken for down: the program waits, and says what it was answered.
    await using program = new Program(['backfill'], of);
    const waits = (): Promise<boolean> =>
      Promise.resolve(program.stderr.includes('ITERABLE_API_BASE_URL may be wrong'));
    await until('it waits', waits);
    program.kill('SIGTERM');
    const stopped = await program.ended;
    expect(stopped.code).toBe(130);
    expectNoLeaks(of, stopped);
    answer = (body) => ({
      status: 400,
      text: JSON.stringify({ code: `${KEY} ${body}`, msg: KEY }),
    });
    const ended = await runToEnd(['backfill'], of);
    expect(ended.code).toBe(1);
    expectNoLeaks(of, ended);
  });

  it('stay inside when Kafka refuses the SASL login', async () => {
    const of = env({
      KAFKA_BROKERS: injectServices().kafkaBrokers.join(','),
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_SASL_USERNAME: 'someone',
      KAFKA_SASL_PASSWORD: SASL,
    });
    const ended = await runToEnd(['dead-letters', 'list'], of);
    expect(ended.code).toBe(3);
    expectNoLeaks(of, ended);
  });

  // Guards onCrash and SECRET_FIELD: Node itself would print the error with its properties.
  it.each([
    ['json', KEY],
    ['short', 'pw1'],
  ])(
    'stay inside when a defect throws an error that carries the connection (%s)',
    async (_, apiKey) => {
      answer = success;
      const thrower = `setTimeout(() => { throw Object.assign(new Error('broken for kate.taylor@email.com with ${PASSWORD}'),
        { config: { user: 'u', password: '${PASSWORD}', deep: [{ apiKey: '${apiKey}' }] } }) }, 1500)`;
      const url = `data:text/javascript,${encodeURIComponent(thrower)}`;
      const of = env({ NODE_OPTIONS: `--import=${url}`, ITERABLE_API_KEY: apiKey });
      const ended = await runToEnd(['run'], of);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain('broken for (address)');
      expect(ended.stderr).toContain('"apiKey":"(secret)"');
      expectNoLeaks(of, ended);
      expect(left(of).log).toContain('unexpected error');
    },
  );

  it('are on no page, in no metric and in no command line while it runs', async () => {
    answer = echo;
    const of = env({ LOG_LEVEL: 'debug' });
    await using program = new Program(['run'], of);
    const url = await program.url();
    await until('three are refused', () =>
      Promise.resolve(program.stderr.split('refused with HTTP 400').length > 3),
    );
    answer = (): ReturnType<Answer> => ({
      status: 403,
      text: JSON.stringify({ msg: `${KEY} kate.taylor@email.com` }),
    });
    await database.connection.query("INSERT INTO page_views (user_id, page) VALUES (9, 'pricing')");
    await until('the refused key is seen', async () =>
      (await (await fetch(`${url}/readyz`)).text()).includes('HTTP 403'),
    );
    const pages = await Promise.all(
      ['/', '/status', '/metrics', '/readyz', '/healthz', '/nothing'].map(
        async (path) => await (await fetch(url + path)).text(),
      ),
    );
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        pages.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended meanwhile.
      }
    }
    program.kill('SIGTERM');
    const ended = await program.ended;
    const shown = pages.filter((text) => !text.includes('mysqld'));
    for (const text of shown) expect(text).not.toMatch(/planted-(key|password|sasl)/);
    expectNoLeaks(of, ended, pages.slice(0, 6));
  });
});

describe('what is left on disk', () => {
  // Guards process.umask in main.ts: SQLite and the log make files of their own.
  it("is the owner's alone, whatever the umask of the shell", async () => {
    answer = success;
    const before = process.umask(0);
    const of = env();
    try {
      await using program = new Program(['run'], of);
      await program.ready();
      await until('it has delivered', () =>
        Promise.resolve(statSync(of['STATE_DIR'] ?? '').isDirectory()),
      );
      expect((await runToEnd(['backfill', '--limit', '2'], of)).code).toBe(0);
      const folder = dirname(of['STATE_DIR'] ?? '');
      const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
      const names = entries.map(({ name }) => name).join(' ');
      for (const wanted of [
        'topics.db-wal',
        'topics.db-shm',
        '.lock',
        'program.log',
        'integration_results_',
        'backfill.json',
      ]) {
        expect(names).toContain(wanted);
      }
      const modes = entries.map((entry) => {
        const path = join(entry.parentPath, entry.name);
        return [entry.name, (statSync(path).mode & 0o777).toString(8), entry.isDirectory()];
      });
      expect(
        modes.filter(([, mode, isFolder]) => mode !== (isFolder === true ? '700' : '600')),
      ).toEqual([]);
    } finally {
      process.umask(before);
    }
  });
});

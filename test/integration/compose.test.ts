import { expect, test } from 'vitest';
import { run } from '../../tools/services/commands.ts';
import { composeCommand } from '../../tools/services/services.ts';

const say = (line: string): void => void process.stderr.write(`services: ${line}\n`);

interface Composed {
  services: Record<
    string,
    {
      depends_on?: Record<string, { condition: string }>;
      environment?: Record<string, string>;
      ports?: { host_ip?: string }[];
      deploy?: { replicas?: number };
    }
  >;
}

async function composed(env: Record<string, string>): Promise<Composed> {
  const [command = '', ...args] = await composeCommand(say);
  const file = new URL('../../docker-compose.yml', import.meta.url).pathname;
  const options = ['--env-file', '/dev/null', '-f', file, 'config', '--format', 'json'];
  return JSON.parse(await run(command, [...args, ...options], { env })) as Composed;
}

test('docker compose config accepts the file as it stands', async () => {
  const { services } = await composed({});
  expect(Object.keys(services).toSorted()).toEqual([
    'capture',
    'deliver',
    'kafka',
    'mysql',
    'setup-db',
    'simulator',
  ]);
  expect(services['deliver']?.deploy?.replicas).toBe(2);
  expect(services['capture']?.depends_on?.['setup-db']?.condition).toBe(
    'service_completed_successfully',
  );
});

test('every published port is on 127.0.0.1', async () => {
  const ports = Object.values((await composed({})).services).flatMap((one) => one.ports ?? []);
  expect(ports.length).toBeGreaterThan(0);
  expect(ports.filter(({ host_ip }) => host_ip !== '127.0.0.1')).toEqual([]);
});

test('the database user, its password and the Iterable project come from the environment', async () => {
  const env = {
    DB_PASSWORD: 'chosen',
    ITERABLE_API_KEY: 'a-key',
    ITERABLE_API_BASE_URL: 'https://api.eu.iterable.com',
  };
  const { services } = await composed(env);
  expect(services['deliver']?.environment).toMatchObject(env);
  expect(services['mysql']?.environment?.['MYSQL_PASSWORD']).toBe('chosen');
});

import { UsageError } from '../../src/errors.ts';
import type { DatabaseSettings } from '../../src/settings/types.ts';

type Login = Pick<DatabaseSettings, 'host' | 'port' | 'user' | 'password'>;

const PORT_DEFAULT = 3306;

/** The server named by TEST_MYSQL_URL, TEST_MARIADB_URL or TEST_MARIADB11_URL: `mysql://user:password@host:port`. */
export function databaseByUrl(env: NodeJS.ProcessEnv, variable: string): Login | null {
  const text = env[variable];
  if (text === undefined || text === '') return null;
  const url = URL.parse(text);
  // The text stays out of the message: it holds a password.
  if (url === null || url.hostname === '') {
    throw new UsageError(`${variable} is no URL like mysql://user:password@host:3306.`);
  }
  return {
    host: url.hostname,
    port: url.port === '' ? PORT_DEFAULT : Number(url.port),
    user: decodeURIComponent(url.username) || 'root',
    password: decodeURIComponent(url.password),
  };
}

/** The server named by DB_HOST, DB_PORT, DB_USER and DB_PASSWORD, as the program itself reads them. */
export function databaseByVariables(env: NodeJS.ProcessEnv): Login | null {
  const host = env['DB_HOST'];
  if (host === undefined || host === '') return null;
  const port = Number(env['DB_PORT'] || PORT_DEFAULT);
  return { host, port, user: env['DB_USER'] || 'root', password: env['DB_PASSWORD'] ?? '' };
}

/** The brokers named by KAFKA_BROKERS, a comma list. */
export function brokersByVariable(env: NodeJS.ProcessEnv): string[] | null {
  const brokers = (env['KAFKA_BROKERS'] ?? '')
    .split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '');
  return brokers.length === 0 ? null : brokers;
}

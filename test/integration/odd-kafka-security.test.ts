import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { servicesDir } from '../../tools/services/cache.ts';
import { freePorts } from '../../tools/services/folders.ts';
import { prepareKafkaProgram } from '../../tools/services/kafka-program.ts';
import { type KafkaServer, startKafka } from '../../tools/services/services.ts';
import { makeCertificates } from '../support/certificates.ts';
import { differences } from '../support/expected.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { freshDatabase, freshTopicPrefix, injectServices } from '../support/services.ts';
import { Workload } from '../support/workload.ts';

const say = (line: string): void => void process.stderr.write(`services: ${line}\n`);
const MODULES = 'org.apache.kafka.common.security';
const PASSWORD = 'sasl-secret';
const WRONG = 'wrong-secret';

/** A listener each: what it asks of a client, by the protocol's name. */
const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_SSL', 'SASL_PLAINTEXT'] as const;
type Protocol = (typeof PROTOCOLS)[number];

const file = makeCertificates();
let server: KafkaServer;
let portOf: (protocol: Protocol) => number;

/** A broker that takes the user `app`, by any mechanism, and shows the certificate of `ca.pem`. */
beforeAll(async () => {
  const [controllerPort, ...ports] = await freePorts(PROTOCOLS.length + 1);
  portOf = (protocol) => ports[PROTOCOLS.indexOf(protocol)] ?? 0;
  const listeners = PROTOCOLS.map((name) => `${name}://127.0.0.1:${portOf(name)}`);
  const jaas = (['SASL_SSL', 'SASL_PLAINTEXT'] as const).flatMap((name) => [
    [
      `listener.name.${name.toLowerCase()}.plain.sasl.jaas.config`,
      `${MODULES}.plain.PlainLoginModule required user_app="${PASSWORD}";`,
    ],
    ...['256', '512'].map((bits) => [
      `listener.name.${name.toLowerCase()}.scram-sha-${bits}.sasl.jaas.config`,
      `${MODULES}.scram.ScramLoginModule required;`,
    ]),
  ]);
  const protocols = PROTOCOLS.map((name) => `${name}:${name}`);
  server = await startKafka({
    say,
    way: 'native',
    port: portOf('PLAINTEXT'),
    properties: {
      'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
      listeners: [...listeners, `CONTROLLER://127.0.0.1:${controllerPort}`].join(','),
      'advertised.listeners': listeners.join(','),
      'listener.security.protocol.map': ['CONTROLLER:PLAINTEXT', ...protocols].join(','),
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': file('keystore.pem'),
      ...(Object.fromEntries(jaas) as Record<string, string>),
    },
  });
  const { java, classPath } = await prepareKafkaProgram(servicesDir(), say);
  const user = ['--alter', '--entity-type', 'users', '--entity-name', 'app'];
  const broker = ['--bootstrap-server', `127.0.0.1:${portOf('PLAINTEXT')}`];
  const tool = ['-cp', classPath, 'kafka.admin.ConfigCommand', ...broker, ...user];
  // The broker takes one credential of a user at a time.
  for (const bits of ['256', '512']) {
    const credential = `SCRAM-SHA-${bits}=[password=${PASSWORD}]`;
    await promisify(execFile)(java, [...tool, '--add-config', credential]);
  }
}, 60_000);

afterAll(() => server.stop());

interface Login {
  protocol: Protocol;
  mechanism: string | null;
}

/** A pipeline's surroundings: settings for this login, changed as wished. */
async function setUp({ protocol, mechanism }: Login) {
  const database = await freshDatabase(injectServices().mysql);
  const simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
  const workload = new Workload(database.connection, 12, 10);
  await workload.setUp();
  const sasl = {
    KAFKA_SASL_MECHANISM: mechanism ?? '',
    KAFKA_SASL_USERNAME: 'app',
    KAFKA_SASL_PASSWORD: PASSWORD,
  };
  return {
    database,
    simulator,
    workload,
    env: (more: Readonly<Record<string, string>> = {}) =>
      environment(database.settings, simulator.url, {
        KAFKA_BROKERS: `127.0.0.1:${portOf(protocol)}`,
        KAFKA_TOPIC: freshTopicPrefix(),
        KAFKA_GROUP_ID: freshTopicPrefix(),
        KAFKA_SSL: String(protocol.endsWith('SSL')),
        NODE_EXTRA_CA_CERTS: file('ca.pem'),
        ...(mechanism === null ? {} : sasl),
        ...more,
      }),
    [Symbol.asyncDispose]: async () => {
      await simulator[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const SECURE: readonly Login[] = [
  { protocol: 'SSL', mechanism: null },
  { protocol: 'SASL_SSL', mechanism: 'plain' },
  { protocol: 'SASL_SSL', mechanism: 'scram-sha-256' },
  { protocol: 'SASL_SSL', mechanism: 'scram-sha-512' },
  { protocol: 'SASL_PLAINTEXT', mechanism: 'scram-sha-512' },
];
const WITH_USER = SECURE.filter(({ mechanism }) => mechanism !== null);
const COMMANDS = ['run', 'capture', 'deliver', 'doctor'];

describe('Kafka', () => {
  // Guards `ssl` and `sasl` of createClient, and connectTls in socketFactory.
  test.each(SECURE)(
    'over $protocol, mechanism $mechanism: run and doctor do their work',
    { timeout: 60_000 },
    async (login) => {
      await using t = await setUp(login);
      const env = t.env();
      await using program = new Program(['run'], env);
      await program.ready();
      await t.workload.steps(30);
      await until(
        'Iterable holds what it should',
        async () => (await differences(t.database.connection, t.simulator)).length === 0,
      );
      expect(await runToEnd(['doctor'], env)).toMatchObject({ code: 0 });
      expect(program.stdout + program.stderr).not.toContain(PASSWORD);
    },
  );

  // Guards KafkaJSSASLAuthenticationError in explainKafkaError.
  test.each(WITH_USER)(
    'over $protocol, mechanism $mechanism: a wrong password ends with 3, and is in no output',
    { timeout: 60_000 },
    async (login) => {
      await using t = await setUp(login);
      for (const command of COMMANDS) {
        const env = t.env({ KAFKA_SASL_PASSWORD: WRONG, LOG_LEVEL: 'debug' });
        const ended = await runToEnd([command], env);
        const log = await readFile(env['LOG_FILE'] ?? '', 'utf8').catch(() => '');
        const output = ended.stdout + ended.stderr + log;
        expect(output).toMatch(/refuses the user app(;|\. To do:) check KAFKA_SASL_MECHANISM/);
        expect(output).not.toContain(WRONG);
        expect(ended.code).toBe(3);
      }
    },
  );

  const SASL_SSL = { protocol: 'SASL_SSL', mechanism: 'plain' } as const;
  const SASL_ONLY = { protocol: 'SASL_PLAINTEXT', mechanism: 'plain' } as const;

  // Guards `isAway` in explainKafkaError, and the advice of doctor.
  test.each([
    ['a certificate of another authority', SASL_SSL, { NODE_EXTRA_CA_CERTS: file('other.pem') }],
    ['a certificate of no authority', SASL_SSL, { NODE_EXTRA_CA_CERTS: '' }],
    ['TLS where there is none', SASL_ONLY, { KAFKA_SSL: 'true' }],
    ['no TLS where it is asked for', SASL_SSL, { KAFKA_SSL: 'false' }],
    ['no user where one is asked for', SASL_SSL, { KAFKA_SASL_MECHANISM: '' }],
  ] as const)(
    '%s: ends with 3, and names the setting',
    { timeout: 90_000 },
    async (_, login, more) => {
      await using t = await setUp(login);
      for (const command of COMMANDS) {
        const ended = await runToEnd([command], t.env(more));
        const output = ended.stdout + ended.stderr;
        expect(output).toMatch(/KAFKA_SSL|KAFKA_SASL_/);
        // Without TLS, no certificate can be what is wrong.
        const isTls = t.env(more)['KAFKA_SSL'] === 'true';
        if (command === 'doctor') expect(output.includes('NODE_EXTRA_CA_CERTS')).toBe(isTls);
        expect(output).not.toContain(PASSWORD);
        expect(ended.code).toBe(3);
      }
    },
  );
});

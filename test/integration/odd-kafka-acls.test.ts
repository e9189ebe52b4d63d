import { readFile } from 'node:fs/promises';
import kafkajs, { type AclEntry, type Admin } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { freePorts } from '../../tools/services/folders.ts';
import { type KafkaServer, startKafka } from '../../tools/services/services.ts';
import { differences } from '../support/expected.ts';
import { makeTopics } from '../support/kafka-admin.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { freshDatabase, freshTopicPrefix, injectServices } from '../support/services.ts';
import { Workload } from '../support/workload.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
const README = new URL('../../README.md', import.meta.url);
const PASSWORD = 'sasl-secret';
const USERS = ['capture', 'deliver'];

const OPERATIONS: Readonly<Record<string, number>> = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Create: AclOperationTypes.CREATE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
};

interface Grant {
  user: string;
  operation: string;
  kind: 'topic' | 'group';
  /** As the README calls it. */
  name: string;
}

/** One grant an operation, of the README's commands. */
async function readmeGrants(): Promise<Grant[]> {
  const text = await readFile(README, 'utf8');
  const commands = text.matchAll(/^acl --allow-principal User:(\w+) (.+) --(topic|group) (\S+)$/gm);
  return [...commands].flatMap(([, user = '', operations = '', kind = '', name = '']) =>
    [...operations.matchAll(/--operation (\w+)/g)].map(([, operation = '']) => ({
      user,
      operation,
      kind: kind === 'group' ? ('group' as const) : ('topic' as const),
      name,
    })),
  );
}

let server: KafkaServer;
let admin: Admin;
let saslPort = 0;

/** A broker where nobody may do anything without a grant, but whoever comes without a name. */
beforeAll(async () => {
  const [port, sasl, controller] = await freePorts(3);
  saslPort = sasl ?? 0;
  const listeners = `PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://127.0.0.1:${sasl}`;
  const users = USERS.map((user) => `user_${user}="${PASSWORD}"`).join(' ');
  server = await startKafka({
    say: (line) => void process.stderr.write(`services: ${line}\n`),
    way: 'native',
    port: port ?? 0,
    properties: {
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      listeners: `${listeners},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': listeners,
      'listener.security.protocol.map':
        'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT',
      'sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.sasl_plaintext.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${users};`,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'allow.everyone.if.no.acl.found': 'false',
    },
  });
  const kafka = new kafkajs.Kafka({ brokers: [...server.brokers], logLevel: 0 });
  admin = kafka.admin();
  await admin.connect();
});

afterAll(async () => {
  await admin.disconnect();
  await server.stop();
});

/** Topics and a group of its own, made by the administrator, with these grants alone. */
async function setUp(grants: readonly Grant[]) {
  const topic = freshTopicPrefix();
  const groupId = freshTopicPrefix();
  const resourceOf = ({ kind, name }: Grant): string =>
    kind === 'group' ? groupId : name.replace('page_views', topic);
  const aclOf = (grant: Grant): AclEntry => ({
    resourceType: grant.kind === 'group' ? AclResourceTypes.GROUP : AclResourceTypes.TOPIC,
    resourceName: resourceOf(grant),
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: `User:${grant.user}`,
    host: '*',
    operation: OPERATIONS[grant.operation] ?? AclOperationTypes.UNKNOWN,
    permissionType: AclPermissionTypes.ALLOW,
  });
  const database = await freshDatabase(injectServices().mysql);
  const simulator = await startSimulator({ port: 0, apiKeys: ['test-key', 'other-key'] });
  const workload = new Workload(database.connection, 12, 10);
  await workload.setUp();
  if (grants.length > 0) await admin.createAcls({ acl: grants.map(aclOf) });
  return {
    database,
    simulator,
    topic,
    resourceOf,
    makeTopics: async (): Promise<void> => {
      const names = ['', '.user_changes', '.dead_letters', '.checkpoints'];
      const topics = names.map((name) => ({ topic: topic + name, numPartitions: 1 }));
      await makeTopics(admin, topics);
    },
    aclOf,
    env: (user: string, more: Readonly<Record<string, string>> = {}) =>
      environment(database.settings, simulator.url, {
        KAFKA_BROKERS: `127.0.0.1:${saslPort}`,
        KAFKA_TOPIC: topic,
        KAFKA_GROUP_ID: groupId,
        KAFKA_SASL_MECHANISM: 'plain',
        KAFKA_SASL_USERNAME: user,
        KAFKA_SASL_PASSWORD: PASSWORD,
        ...more,
      }),
    [Symbol.asyncDispose]: async () => {
      await simulator[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

type Surroundings = Awaited<ReturnType<typeof setUp>>;

/** A view of a user whom Iterable refuses, beside one of a user whom it takes. */
async function addViews({ database }: Surroundings): Promise<void> {
  await database.connection.query(
    "INSERT INTO customers (id, email, plan_type) VALUES (50, 'no address', 'pro'), (51, 'acl@example.com', 'pro')",
  );
  await database.connection.query(
    "INSERT INTO page_views (user_id, page) VALUES (50, 'pricing'), (51, 'settings')",
  );
}

// Guards the README's "Kafka ACLs": what it grants is enough.
test(
  'the ACLs of the README are enough for capture, deliver, replay, dead-letters and doctor',
  { timeout: 120_000 },
  async () => {
    await using t = await setUp(await readmeGrants());
    await t.makeTopics();
    await using capture = new Program(['capture'], t.env('capture'));
    await using deliver = new Program(['deliver'], t.env('deliver'));
    await Promise.all([capture.ready(), deliver.ready()]);
    await addViews(t);
    await until('Iterable has the new user', () =>
      Promise.resolve(t.simulator.users.has('acl@example.com')),
    );
    await until('the refused one is listed', async () =>
      (await runToEnd(['dead-letters', 'list'], t.env('deliver'))).stdout.includes(
        'no usable e-mail address',
      ),
    );
    // 1: somebody was refused.
    const replayed = await runToEnd(['replay', '--from', '2026-01-01'], t.env('deliver'));
    expect(replayed).toMatchObject({ code: 1 });
    expect(replayed.stdout).toMatch(/Total users processed: +[1-9]/);
    const retried = await runToEnd(['dead-letters', 'retry', '--all'], t.env('deliver'));
    expect(retried.stderr).not.toMatch(/grant/i);
    expect(await runToEnd(['dead-letters', 'discard', '--all'], t.env('deliver'))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Discarded: 1') as string,
    });
    const checked = await runToEnd(['doctor'], t.env('deliver'));
    expect(checked).toMatchObject({ code: 0 });
    for (const { stderr } of [capture, deliver]) expect(stderr).not.toMatch(/authori[sz]|grant/i);
    const problems = await differences(t.database.connection, t.simulator);
    // Whom Iterable refuses is missing there, and nobody else.
    expect(problems).toEqual(['hole: no address is missing']);
  },
);

test('capture creates the topics where it is granted Create on them', async () => {
  const grants = (await readmeGrants()).filter(({ user }) => user === 'capture');
  const names = new Set(grants.map(({ name }) => name));
  const creates = [...names].map((name) => ({
    user: 'capture',
    operation: 'Create',
    kind: 'topic' as const,
    name,
  }));
  expect(creates).toHaveLength(4);
  await using t = await setUp([...grants, ...creates]);
  await using capture = new Program(['capture'], t.env('capture'));
  await capture.ready();
  expect(await admin.listTopics()).toEqual(
    expect.arrayContaining(creates.map((create) => t.resourceOf(create))),
  );
});

interface Lack {
  /** `User operation name`, of the README's commands. */
  grant: string;
  /** Run as that user. */
  command: readonly string[];
  /** What it says beside the resource's name. */
  says: RegExp;
  more?: Readonly<Record<string, string>>;
}

const LACKS: readonly Lack[] = [
  { grant: 'capture Write page_views', command: ['capture'], says: /grant Describe/ },
  { grant: 'capture Write page_views.user_changes', command: ['capture'], says: /grant Describe/ },
  { grant: 'capture Read page_views.checkpoints', command: ['capture'], says: /grant it/ },
  { grant: 'capture Write page_views.checkpoints', command: ['capture'], says: /Grant .* Write/ },
  { grant: 'capture Describe page_views.dead_letters', command: ['capture'], says: /grant Descr/ },
  { grant: 'deliver Read page_views', command: ['deliver'], says: /grant Describe/ },
  { grant: 'deliver Read page_views', command: ['replay', '--from', '2026-01-01'], says: /grant/ },
  { grant: 'deliver Read page_views.user_changes', command: ['deliver'], says: /grant .* Read/ },
  {
    grant: 'deliver Write page_views.user_changes',
    command: ['deliver'],
    says: /Grant .* Write/,
    // Another project: everyone is looked at again.
    more: { ITERABLE_API_KEY: 'other-key' },
  },
  {
    grant: 'deliver Read page_views.dead_letters',
    command: ['dead-letters', 'list'],
    says: /grant it/,
  },
  {
    grant: 'deliver Write page_views.dead_letters',
    command: ['dead-letters', 'discard', '--all'],
    says: /grant it/,
  },
  {
    grant: 'deliver Write page_views.dead_letters',
    command: ['replay', '--from', '2026-01-01'],
    says: /grant it/,
  },
  { grant: 'deliver Describe page_views.checkpoints', command: ['deliver'], says: /grant Descr/ },
  { grant: 'deliver Read iterable-sync', command: ['deliver'], says: /grant .* Read on the group/ },
  ...['', '.user_changes', '.dead_letters', '.checkpoints'].map((name) => ({
    grant: `deliver DescribeConfigs page_views${name}`,
    command: ['doctor'],
    says: /^note .*grant DescribeConfigs/m,
  })),
];

// Guards grants.ts, and notAllowed and adviceFor: a grant that is missing is named.
test(
  'each of the ACLs of the README is needed: without it, a command says what to grant, and on what',
  { timeout: 240_000 },
  async () => {
    const grants = await readmeGrants();
    const textOf = ({ user, operation, name }: Grant): string => `${user} ${operation} ${name}`;
    expect(new Set(LACKS.map(({ grant }) => grant))).toEqual(new Set(grants.map(textOf)));
    await using t = await setUp(grants);
    await t.makeTopics();
    {
      await using capture = new Program(['capture'], t.env('capture'));
      await using deliver = new Program(['deliver'], t.env('deliver'));
      await Promise.all([capture.ready(), deliver.ready()]);
      await addViews(t);
      await until('the refused one is listed', async () =>
        (await runToEnd(['dead-letters', 'list'], t.env('deliver'))).stdout.includes('no usable'),
      );
      for (const program of [capture, deliver]) {
        program.kill('SIGTERM');
        expect(await program.ended).toMatchObject({ code: 0 });
      }
    }
    for (const { grant, command, says, more } of LACKS) {
      const missing = grants.find((one) => textOf(one) === grant);
      if (missing === undefined) throw new Error(`the README does not grant ${grant}`);
      await admin.deleteAcls({ filters: [t.aclOf(missing)] });
      await using program = new Program(command, t.env(missing.user, more));
      await until(`${command.join(' ')} says that it lacks ${grant}`, () => {
        const output = program.stdout + program.stderr;
        return Promise.resolve(says.test(output) && output.includes(t.resourceOf(missing)));
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${program.stdout}${program.stderr}`);
      });
      program.kill('SIGKILL');
      await program.ended;
      await admin.createAcls({ acl: [t.aclOf(missing)] });
    }
  },
);

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import pino from 'pino';
import { systemClock } from '../model/clock.ts';
import { checkSource } from '../source/mysql/checks/checks.ts';
import { checkReplica } from '../source/mysql/checks/replica-check.ts';
import { connect } from '../database/connect.ts';
import { UnavailableError } from '../errors.ts';
import { IterableHttp } from '../sinks/iterable/http.ts';
import type { KeyReply } from '../sinks/iterable/read-response.ts';
import type { IterableSettings, Settings } from '../settings/types.ts';
import { type TopicDescription, describeKafka } from '../topics/kafka/describe.ts';
import { topicNames } from '../topics/names.ts';
import type { TopicNames } from '../topics/port.ts';
import { type ReportLine, advises, fails, holds, lineFrom, notChecked } from './doctor-report.ts';

const RETENTION_MS_MIN = 24 * 60 * 60 * 1000;
const NO_CONNECTION = 'there is no connection';
const CERTIFICATES =
  'where a certificate is not accepted, set NODE_EXTRA_CA_CERTS to the file of the authority that signed it';

/** A failing line from what was thrown, with `otherwise` where that says nothing of what to do. */
function failsWith(name: string, error: unknown, otherwise: string): ReportLine {
  if (error instanceof UnavailableError) return fails(name, error.what, error.todo ?? otherwise);
  return fails(name, error instanceof Error ? error.message : String(error), otherwise);
}

export async function databaseChecks({ db, topicFormat }: Settings): Promise<ReportLine[]> {
  try {
    const connection = await connect(db);
    try {
      const found = [
        ...(await checkSource(connection, db)),
        ...(await checkReplica(connection, topicFormat)),
      ];
      return found.map((check) => lineFrom(check, `database: ${check.name}`));
    } finally {
      connection.destroy();
    }
  } catch (error) {
    return [
      failsWith('database', error, 'put this right in the database, or check DB_HOST and DB_PORT'),
      notChecked('database: grants, tables, binlog', NO_CONNECTION),
    ];
  }
}

/** The folder is made by `run`; here it only matters that it could be. */
async function embeddedChecks(stateDir: string): Promise<ReportLine[]> {
  const name = 'topics: embedded';
  for (let folder = resolve(stateDir); ; folder = dirname(folder)) {
    try {
      await access(folder, constants.W_OK);
      return [holds(name, `${stateDir} can be written`)];
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (isMissing && dirname(folder) !== folder) continue;
      return [fails(name, `${folder} cannot be written`, 'make it writable, or set STATE_DIR')];
    }
  }
}

/** `topicTrouble`: why nobody knows the topics' names; the brokers are asked all the same. */
export async function topicsChecks(
  { topics }: Settings,
  topicTrouble: string | null,
): Promise<ReportLine[]> {
  const { kafka } = topics;
  if (kafka === null) return await embeddedChecks(topics.stateDir);
  const names = topicNames(topics.topic);
  const wanted = topicTrouble === null ? Object.values(names) : [];
  try {
    const found = await describeKafka(kafka, wanted, pino({ level: 'silent' }));
    return [
      holds('topics: Kafka', `${found.brokers} broker(s) at ${kafka.brokers.join(',')}`),
      ...wanted.map((topic) => topicCheck(topic, found.topics.get(topic), names)),
      ...partitionChecks(found.topics, names),
      ...(topicTrouble === null ? [] : [notChecked('topics: names', topicTrouble)]),
    ];
  } catch (error) {
    const check = failsWith('topics: Kafka', error, "see the broker's log");
    const mayBeTls = /KAFKA_SSL(?!=)/.test(check.fix ?? '') && kafka.ssl;
    const isSaid = check.fix?.includes('NODE_EXTRA_CA_CERTS') === true;
    return [
      mayBeTls && !isSaid ? { ...check, fix: `${check.fix}; ${CERTIFICATES}` } : check,
      ...wanted.map((topic) => notChecked(`topics: ${topic}`, NO_CONNECTION)),
    ];
  }
}

function topicCheck(
  topic: string,
  there: TopicDescription | undefined,
  { pageViews, userChanges }: TopicNames,
): ReportLine {
  const name = `topics: ${topic}`;
  if (there === undefined) {
    return holds(
      name,
      'not there yet, or hidden from this user by ACLs; the first start creates it, or says so',
    );
  }
  if (there.config === null) {
    return advises(
      name,
      `${there.partitions} partition(s); this user may not see its settings`,
      `grant DescribeConfigs on the topic ${topic}, or see to it that it keeps messages for a day at least`,
    );
  }
  const { cleanupPolicy, retentionMs } = there.config;
  const detail = `${there.partitions} partition(s), ${cleanupPolicy}, retention ${retentionMs} ms`;
  const isShort = retentionMs >= 0 && retentionMs < RETENTION_MS_MIN;
  return isShort && (topic === pageViews || topic === userChanges)
    ? advises(
        name,
        detail,
        'raise retention.ms to a day at least: what was not delivered by then is gone',
      )
    : holds(name, detail);
}

function partitionChecks(
  there: ReadonlyMap<string, TopicDescription>,
  { pageViews, userChanges }: TopicNames,
): ReportLine[] {
  const views = there.get(pageViews)?.partitions;
  const changes = there.get(userChanges)?.partitions;
  if (views === undefined || changes === undefined || views === changes) return [];
  return [
    advises(
      'topics: partitions',
      `${views} and ${changes}`,
      `give ${userChanges} as many partitions as ${pageViews}, so that one user is with one instance`,
    ),
  ];
}

const REACHABLE = 'Iterable: reachable';
const KEY = 'Iterable: key';

/** `keyTrouble`: why there is no key to ask about; whether Iterable is there is asked all the same. */
export async function iterableChecks(
  iterable: IterableSettings,
  keyTrouble: string | null,
): Promise<ReportLine[]> {
  await using http = new IterableHttp({ ...iterable, connectionsMax: 1, clock: systemClock });
  return iterableLines(await http.checkKey(), iterable.baseUrl, keyTrouble);
}

function iterableLines(reply: KeyReply, url: string, keyTrouble: string | null): ReportLine[] {
  if (reply.kind === 'retry') {
    return [
      fails(
        REACHABLE,
        reply.status === null ? reply.message : `${url}: HTTP ${reply.status} ${reply.message}`,
        'check ITERABLE_API_BASE_URL and the way there (DNS, proxy, firewall); ITERABLE_TIMEOUT_MS is the limit',
      ),
      notChecked(KEY, keyTrouble ?? 'Iterable does not answer'),
    ];
  }
  const reached = holds(REACHABLE, url);
  if (keyTrouble !== null) return [reached, notChecked(KEY, keyTrouble)];
  if (reply.kind === 'ok') return [reached, holds(KEY, 'accepted')];
  return [
    reached,
    fails(
      KEY,
      `refused with HTTP ${reply.status}`,
      'set ITERABLE_API_KEY to a server-side key of the project, and ITERABLE_API_BASE_URL to its data center (US or EU)',
    ),
  ];
}

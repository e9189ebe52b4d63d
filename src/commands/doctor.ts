import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import pino from 'pino';
import { type Check as SourceCheck, checkSource } from '../capture/capture.ts';
import { checkReplica } from '../capture/replica-check.ts';
import { connect } from '../database/connect.ts';
import { IterableHttp } from '../iterable/http.ts';
import type { KeyVerdict } from '../iterable/read-response.ts';
import { oneLine, plainJson } from '../plain-text.ts';
import { readSettings } from '../settings/load.ts';
import type { IterableSettings, Settings } from '../settings/types.ts';
import { describeKafka } from '../topics/kafka/describe.ts';
import { topicNames } from '../topics/names.ts';

export interface DoctorFlags {
  json: boolean;
  config: string | null;
}

/** One line of the report. What is not required is worth knowing, and fails nothing. */
export interface Check {
  name: string;
  ok: boolean;
  required: boolean;
  detail: string;
  /** What to do about it; null when it holds. */
  fix: string | null;
}

const RETENTION_MS_MIN = 24 * 60 * 60 * 1000;
const IN_BINLOG = 'capture can not start without it';

function holds(name: string, detail: string): Check {
  return { name, ok: true, required: true, detail, fix: null };
}

function fails(name: string, detail: string, fix: string, required = true): Check {
  return { name, ok: false, required, detail, fix };
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function databaseChecks({ db, topicFormat }: Settings): Promise<Check[]> {
  try {
    const connection = await connect(db);
    try {
      const checks: SourceCheck[] = [
        ...(await checkSource(connection, db)),
        ...(await checkReplica(connection, topicFormat)),
      ];
      return checks.map((check) => ({ ...check, name: `database: ${check.name}` }));
    } finally {
      connection.destroy();
    }
  } catch (error) {
    return [fails('database', sentence(error), IN_BINLOG)];
  }
}

async function embeddedChecks(stateDir: string): Promise<Check[]> {
  const name = 'topics: embedded';
  // The folder is made by `run`; here it only matters that it could be.
  for (let folder = resolve(stateDir); ; folder = dirname(folder)) {
    try {
      await access(folder, constants.W_OK);
      return [holds(name, `${stateDir} can be written`)];
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (isMissing && dirname(folder) !== folder) continue;
      return [fails(name, `${folder} can not be written`, 'make it writable, or set STATE_DIR')];
    }
  }
}

export async function kafkaChecks({ topics }: Settings): Promise<Check[]> {
  const { kafka } = topics;
  if (kafka === null) return await embeddedChecks(topics.stateDir);
  try {
    const names = topicNames(topics.topic);
    const found = await describeKafka(kafka, Object.values(names), pino({ level: 'silent' }));
    const checks = [
      holds('topics: Kafka', `${found.brokers} broker(s) at ${kafka.brokers.join(',')}`),
    ];
    for (const topic of Object.values(names)) {
      const there = found.topics.get(topic);
      if (there === undefined) {
        checks.push(
          holds(
            `topics: ${topic}`,
            'not there yet, or hidden from this user by ACLs; the first start creates it, or says so',
          ),
        );
        continue;
      }
      if (there.config === null) {
        checks.push(
          fails(
            `topics: ${topic}`,
            `${there.partitions} partition(s); this user may not see its settings`,
            `grant DescribeConfigs on the topic ${topic}, or see to it that it keeps messages for a day at least`,
            false,
          ),
        );
        continue;
      }
      const { cleanupPolicy, retentionMs } = there.config;
      const detail = `${there.partitions} partition(s), ${cleanupPolicy}, retention ${retentionMs} ms`;
      const isShort = retentionMs >= 0 && retentionMs < RETENTION_MS_MIN;
      const matters = topic === names.pageViews || topic === names.userChanges;
      checks.push(
        isShort && matters
          ? fails(
              `topics: ${topic}`,
              detail,
              'raise retention.ms to a day at least: what was not delivered by then is gone',
              false,
            )
          : holds(`topics: ${topic}`, detail),
      );
    }
    const views = found.topics.get(names.pageViews)?.partitions;
    const changes = found.topics.get(names.userChanges)?.partitions;
    if (views !== undefined && changes !== undefined && views !== changes) {
      checks.push(
        fails(
          'topics: partitions',
          `${views} and ${changes}`,
          `give ${names.userChanges} as many partitions as ${names.pageViews}, so that one user is with one instance`,
          false,
        ),
      );
    }
    return checks;
  } catch (error) {
    return [
      fails(
        'topics: Kafka',
        sentence(error),
        'check KAFKA_BROKERS, KAFKA_SSL and KAFKA_SASL_*; where a certificate is not accepted, set NODE_EXTRA_CA_CERTS to the file of the authority that signed it',
      ),
    ];
  }
}

function iterableVerdict(verdict: KeyVerdict, url: string): Check[] {
  const reached = holds('Iterable: reachable', url);
  switch (verdict.kind) {
    case 'ok':
      return [reached, holds('Iterable: key', 'accepted')];
    case 'unauthorised':
      return [
        reached,
        fails(
          'Iterable: key',
          `refused with HTTP ${verdict.status}`,
          'set ITERABLE_API_KEY to a server-side key of the project, and ITERABLE_API_BASE_URL to its data center (US or EU)',
        ),
      ];
    case 'retry':
      return [
        fails(
          'Iterable: reachable',
          `${url}: ${verdict.status === null ? '' : `HTTP ${verdict.status} `}${verdict.message}`,
          'check ITERABLE_API_BASE_URL and the way there (DNS, proxy, firewall); ITERABLE_TIMEOUT_MS is the limit',
        ),
      ];
  }
}

export async function iterableChecks(iterable: IterableSettings): Promise<Check[]> {
  await using http = new IterableHttp({ ...iterable, connectionsMax: 1 });
  return iterableVerdict(await http.checkKey(), iterable.baseUrl);
}

/**
 * Runs every check, also when another fails, and changes nothing anywhere. Exit code 0 when all
 * that is required holds, 2 when a setting is wrong, else 3.
 */
export async function doctor(flags: DoctorFlags): Promise<number> {
  const { settings, problems } = readSettings({
    env: process.env,
    directory: process.cwd(),
    configFile: flags.config,
    need: 'all',
  });
  const settingsChecks =
    problems.length === 0
      ? [holds('settings', 'complete')]
      : problems.map((problem) =>
          fails(
            'settings',
            problem,
            'set it in the environment, in .env or in the file given with --config',
          ),
        );
  const found = await Promise.all([
    databaseChecks(settings),
    kafkaChecks(settings),
    iterableChecks(settings.iterable),
  ]);
  const checks = [...settingsChecks, ...found.flat()];
  if (flags.json) process.stdout.write(`${plainJson({ ok: isWell(checks), checks }, 2)}\n`);
  else for (const check of checks) process.stdout.write(`${lineOf(check)}\n`);
  if (problems.length > 0) return 2;
  return isWell(checks) ? 0 : 3;
}

function isWell(checks: readonly Check[]): boolean {
  return checks.every(({ ok, required }) => ok || !required);
}

export function lineOf({ name, ok, required, detail, fix }: Check): string {
  const mark = ok ? 'ok  ' : required ? 'FAIL' : 'note';
  return oneLine(`${mark}  ${name}: ${detail}${fix === null ? '' : `. To do: ${fix}`}`);
}

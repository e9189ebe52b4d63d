import convict from 'convict';
import { UsageError } from '../errors.ts';
import { type ColumnNames, DEFAULT_MODEL, isSameColumn } from '../model/data-model.ts';
import { parseSetting } from './formats.ts';
import { type SettingProblem, type Sources, readSources } from './sources.ts';
import { SETTINGS_TABLE, type SettingKind, type SettingName, type SettingRow } from './table.ts';
import type { KafkaCompression, Settings } from './types.ts';

/** Which settings a command cannot do without. */
export type Need = 'all' | 'database' | 'none';

export interface LoadOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** Where `.env` is looked for; null: nowhere. */
  directory: string | null;
  configFile: string | null;
  need: Need;
  /** Settings that this command needs besides, each with why. */
  alsoNeeds?: Partial<Record<SettingName, string>>;
  /** Told of each name that is nearly a setting's, in a sentence. */
  onStranger?: (sentence: string) => void;
}

export interface LoadedSettings extends Pick<Sources, 'strangers'> {
  settings: Settings;
  /** Every missing or invalid setting; never a secret's value. */
  problems: SettingProblem[];
  /** Of a `.env`, where there is none and something is missing; else null. */
  advice: { what: string; todo: string } | null;
}

const NOT_SET = 'is not set';

const ROWS: readonly SettingRow[] = SETTINGS_TABLE;

function isRequired(row: SettingRow, need: Need): boolean {
  if (row.required !== true || need === 'none') return false;
  return need === 'all' || row.group === 'Database';
}

/** A property of convict's schema: its formats are handed the property beside the value. */
type Property = convict.SchemaObj<unknown> & { whyNeeded: string };

const formatOf = (kind: SettingKind): string =>
  `setting: ${typeof kind === 'string' ? kind : kind.oneOf.join('|')}`;

/** convict's formats, one a kind: text becomes a value where it can be read, and is refused where not. */
function addFormats(): void {
  for (const kind of new Map(ROWS.map((row) => [formatOf(row.kind), row.kind])).values()) {
    convict.addFormat({
      name: formatOf(kind),
      coerce: (raw: string) => {
        const parsed = parseSetting(kind, raw);
        return 'value' in parsed ? parsed.value : raw;
      },
      validate: (value: unknown, { whyNeeded }: Property) => {
        if (value === null) throw new Error(`${NOT_SET} (${whyNeeded})`);
        const parsed = typeof value === 'string' ? parseSetting(kind, value) : null;
        if (parsed !== null && 'problem' in parsed) throw new Error(parsed.problem);
      },
    });
  }
}
addFormats();

function schemaFor(
  need: Need,
  alsoNeeds: Partial<Record<string, string>>,
): convict.Schema<Record<string, unknown>> {
  const properties = ROWS.map((row): [string, Property] => [
    row.name,
    {
      doc: row.meaning,
      format: formatOf(row.kind),
      default: row.default,
      env: row.name,
      sensitive: row.secret === true || row.kind === 'url',
      nullable: !isRequired(row, need) && !(row.name in alsoNeeds),
      whyNeeded: alsoNeeds[row.name] ?? row.meaning.replace(/\.$/, ''),
    },
  ]);
  return Object.fromEntries(properties);
}

/** convict throws one error with a line a setting; its lines are `NAME: problem: value was …`. */
function problemsOf(config: { validate(options: object): unknown }): SettingProblem[] {
  try {
    config.validate({ allowed: 'strict' });
    return [];
  } catch (error) {
    const lines = (error as Error).message.split('\n').map((line) => line.trim());
    return lines.flatMap((line) => {
      const row = SETTINGS_TABLE.find(({ name }) => line.startsWith(`${name}: `));
      return row === undefined
        ? []
        : [{ name: row.name, sentence: line.slice(row.name.length + 2) }];
    });
  }
}

function saslProblems(values: ReadonlyMap<string, unknown>): SettingProblem[] {
  const mechanism = values.get('KAFKA_SASL_MECHANISM') ?? null;
  const missing = (['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const).filter(
    (name) => (values.get(name) ?? null) === null,
  );
  if (mechanism === null) return [];
  return missing.map((name) => ({
    name,
    sentence: `${NOT_SET} (KAFKA_SASL_MECHANISM asks for it)`,
  }));
}

function tableProblems(values: ReadonlyMap<string, unknown>): SettingProblem[] {
  const [customers, views] = [values.get('CUSTOMERS_TABLE'), values.get('PAGE_VIEWS_TABLE')].map(
    String,
  );
  if (customers === undefined || views === undefined || !isSameColumn(customers, views)) return [];
  const sentence = 'must be another table than CUSTOMERS_TABLE';
  return [{ name: 'PAGE_VIEWS_TABLE', sentence }];
}

/** Reads and checks all settings. A setting with a problem has its default in `settings`. */
export function readSettings(options: LoadOptions): LoadedSettings {
  const sources = readSources(options.env, options.directory, options.configFile);
  const config = convict(schemaFor(options.need, options.alsoNeeds ?? {}), { env: {}, args: [] });
  config.load(Object.fromEntries(sources.values));
  const invalid = problemsOf(config);
  for (const { name } of invalid) config.reset(name);
  const values = new Map(ROWS.map(({ name }) => [name, config.get(name)]));
  // A secret that its file does not give is not missing beside that.
  const files = new Set(sources.problems.map(({ name }) => rowOf(name)?.fileOf));
  const problems = [
    ...[...invalid, ...saslProblems(values), ...tableProblems(values)].filter(
      ({ name }) => !files.has(name),
    ),
    ...sources.problems,
  ];
  const isMissing = problems.some(({ sentence }) => sentence.startsWith(NOT_SET));
  return {
    settings: group(values),
    problems,
    strangers: sources.strangers,
    advice:
      isMissing && !sources.hasDotEnv && options.directory !== null
        ? adviceFor(options.directory)
        : null,
  };
}

const rowOf = (name: string): SettingRow | undefined => ROWS.find((row) => row.name === name);

const adviceFor = (directory: string): { what: string; todo: string } => ({
  what: `there is no .env in ${directory}`,
  todo: '"iterable-sync init" makes one, or copy .env.example',
});

/** As `readSettings`, for commands that cannot go on with a problem: throws one UsageError. */
export function loadSettings(options: LoadOptions): Settings {
  const { settings, problems, strangers, advice } = readSettings(options);
  if (problems.length > 0) {
    const lines = [
      ...problems.map(({ name, sentence }) => `${name}: ${sentence}`),
      ...strangers,
    ].map((line) => `  ${line}`);
    throw new UsageError(
      `${problems.length === 1 ? 'A setting has' : `${problems.length} settings have`} to be put right ` +
        '(environment, .env, or the file given with --config):\n' +
        [...lines, ...(advice === null ? [] : [`  ${advice.what}: ${advice.todo}`])].join('\n'),
    );
  }
  for (const sentence of strangers) options.onStranger?.(sentence);
  return settings;
}

function group(values: ReadonlyMap<string, unknown>): Settings {
  // What the table's kinds say, the compiler cannot see: each setting is read as its kind.
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
  const get = <T>(name: SettingName): T => values.get(name) as T;
  const text = (name: SettingName): string => get<string | null>(name) ?? '';
  const brokers = get<string[] | null>('KAFKA_BROKERS');
  const mechanism = get<'plain' | 'scram-sha-256' | 'scram-sha-512' | null>('KAFKA_SASL_MECHANISM');
  const sasl =
    mechanism === null
      ? null
      : { mechanism, username: text('KAFKA_SASL_USERNAME'), password: text('KAFKA_SASL_PASSWORD') };
  const compression = get<KafkaCompression>('KAFKA_COMPRESSION');
  const ssl = get<boolean>('KAFKA_SSL');
  const kafka =
    brokers === null ? null : { brokers, clientId: 'iterable-sync', ssl, compression, sasl };
  const logFile = text('LOG_FILE');
  const baseUrl = get<string>('ITERABLE_API_BASE_URL');
  const proxy = text(baseUrl.startsWith('https:') ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  return {
    db: {
      host: text('DB_HOST'),
      port: get('DB_PORT'),
      user: text('DB_USER'),
      password: text('DB_PASSWORD'),
      name: text('DB_NAME'),
      ssl: get('DB_SSL'),
      timeZone: get('DB_TIME_ZONE'),
      model: {
        tables: { customers: get('CUSTOMERS_TABLE'), page_views: get('PAGE_VIEWS_TABLE') },
        columns: get<ColumnNames | null>('COLUMN_NAMES') ?? DEFAULT_MODEL.columns,
        profile: get('PROFILE_FIELDS'),
        event: get('EVENT_FIELDS'),
      },
    },
    topics: {
      kafka,
      topic: get('KAFKA_TOPIC'),
      partitions: get('KAFKA_PARTITIONS'),
      stateDir: get('STATE_DIR'),
    },
    topicFormat: get('KAFKA_TOPIC_FORMAT'),
    groupId: get('KAFKA_GROUP_ID'),
    startFrom: get('START_FROM'),
    iterable: {
      apiKey: text('ITERABLE_API_KEY'),
      baseUrl,
      timeoutMs: get('ITERABLE_TIMEOUT_MS'),
      usersUpdatePerSecond: get('ITERABLE_USERS_UPDATE_PER_SECOND'),
      eventsTrackPerSecond: get('ITERABLE_EVENTS_TRACK_PER_SECOND'),
      proxy: proxy === '' ? null : { url: proxy, except: text('NO_PROXY') },
    },
    rule: {
      planType: get('RULE_PLAN_TYPE'),
      pages: get('RULE_PAGES'),
      lookbackDays: get('RULE_LOOKBACK_DAYS'),
    },
    http: { host: get('HTTP_HOST'), port: get('HTTP_PORT') },
    log: {
      level: get('LOG_LEVEL'),
      format: get('LOG_FORMAT'),
      file: logFile.toLowerCase() === 'off' ? null : logFile,
    },
    resultsDir: get('RESULTS_DIR'),
  };
}

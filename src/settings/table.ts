/**
 * Every setting: the one table that validation, `--help`, `.env.example` and the README's table
 * come from. Names are those of the environment variables; the JSON file uses them too.
 */

export type SettingKind =
  | 'text'
  | 'port'
  | 'portOrOff'
  | 'boolean'
  | 'positiveInt'
  | 'url'
  | 'proxy'
  | 'list'
  | 'brokers'
  | 'timeZone'
  | 'topicName'
  | 'tableName'
  | 'columnNames'
  | 'profileFields'
  | 'eventFields'
  | { oneOf: readonly string[] };

export interface SettingRow {
  name: string;
  kind: SettingKind;
  /** null: no default; the program then does without it, or asks for it where it is required. */
  default: string | null;
  /** One sentence for the tables; says the unit. */
  meaning: string;
  required?: boolean;
  secret?: boolean;
  /** The empty value counts as set. */
  mayBeEmpty?: boolean;
  /** It names a file that holds the value of this setting. */
  fileOf?: string;
  group:
    | 'Database'
    | 'Topics'
    | 'Iterable'
    | 'Rule'
    | 'Names and fields'
    | 'HTTP'
    | 'Logs and results';
}

export const SETTINGS_TABLE = [
  { group: 'Database', name: 'DB_HOST', kind: 'text', default: null, required: true, meaning: 'MySQL or MariaDB host.' },
  { group: 'Database', name: 'DB_PORT', kind: 'port', default: '3306', meaning: 'Its port.' },
  { group: 'Database', name: 'DB_USER', kind: 'text', default: null, required: true, meaning: 'Database user.' },
  { group: 'Database', name: 'DB_PASSWORD', kind: 'text', default: null, required: true, secret: true, mayBeEmpty: true, meaning: 'Its password; may be empty, but must be set.' },
  { group: 'Database', name: 'DB_PASSWORD_FILE', kind: 'text', default: null, fileOf: 'DB_PASSWORD', meaning: 'File that holds DB_PASSWORD, in its place.' },
  { group: 'Database', name: 'DB_NAME', kind: 'text', default: null, required: true, meaning: 'Database with the two tables, of customers and of page views.' },
  { group: 'Database', name: 'DB_SSL', kind: 'boolean', default: 'false', meaning: 'Connect with TLS; the certificate must be for DB_HOST, where that is a name (NODE_EXTRA_CA_CERTS adds a CA).' },
  { group: 'Database', name: 'DB_TIME_ZONE', kind: 'timeZone', default: 'UTC', meaning: 'Time zone of every session: UTC, an offset such as +02:00, or a name the server knows.' },
  { group: 'Topics', name: 'KAFKA_BROKERS', kind: 'brokers', default: null, meaning: 'host:port, comma separated. Not set: embedded topics, a file under STATE_DIR.' },
  { group: 'Topics', name: 'KAFKA_TOPIC', kind: 'topicName', default: 'page_views', meaning: 'Topic of page views; the other three have it as their prefix.' },
  { group: 'Topics', name: 'KAFKA_PARTITIONS', kind: 'positiveInt', default: '6', meaning: 'Partitions of topics that have to be created.' },
  { group: 'Topics', name: 'KAFKA_TOPIC_FORMAT', kind: { oneOf: ['page_view', 'debezium', 'maxwell'] }, default: 'page_view', meaning: 'Who wrote the page views topic: capture (page_view), debezium or maxwell.' },
  { group: 'Topics', name: 'KAFKA_GROUP_ID', kind: 'text', default: 'iterable-sync', meaning: 'Consumer group of deliver.' },
  { group: 'Topics', name: 'KAFKA_SSL', kind: 'boolean', default: 'false', meaning: 'Connect to Kafka with TLS.' },
  { group: 'Topics', name: 'KAFKA_SASL_MECHANISM', kind: { oneOf: ['plain', 'scram-sha-256', 'scram-sha-512'] }, default: null, meaning: 'SASL mechanism: plain, scram-sha-256 or scram-sha-512. Not set: none.' },
  { group: 'Topics', name: 'KAFKA_SASL_USERNAME', kind: 'text', default: null, meaning: 'SASL user.' },
  { group: 'Topics', name: 'KAFKA_SASL_PASSWORD', kind: 'text', default: null, secret: true, meaning: 'SASL password.' },
  { group: 'Topics', name: 'KAFKA_SASL_PASSWORD_FILE', kind: 'text', default: null, fileOf: 'KAFKA_SASL_PASSWORD', meaning: 'File that holds KAFKA_SASL_PASSWORD, in its place.' },
  { group: 'Topics', name: 'KAFKA_COMPRESSION', kind: { oneOf: ['none', 'gzip', 'zstd'] }, default: 'none', meaning: 'How capture compresses what it writes: none, gzip or zstd.' },
  { group: 'Topics', name: 'STATE_DIR', kind: 'text', default: './state', meaning: 'Folder of the embedded topics and of what backfill --resume needs.' },
  { group: 'Topics', name: 'START_FROM', kind: { oneOf: ['backfill', 'now', 'earliest'] }, default: 'backfill', meaning: 'Where a capture without a checkpoint begins: backfill (everyone the rule finds, then the stream), now, or earliest (the oldest binlog).' },
  { group: 'Iterable', name: 'ITERABLE_API_KEY', kind: 'text', default: null, required: true, secret: true, meaning: 'Server-side API key of the Iterable project; the simulator takes any.' },
  { group: 'Iterable', name: 'ITERABLE_API_KEY_FILE', kind: 'text', default: null, fileOf: 'ITERABLE_API_KEY', meaning: 'File that holds ITERABLE_API_KEY, in its place.' },
  { group: 'Iterable', name: 'ITERABLE_API_BASE_URL', kind: 'url', default: 'https://api.iterable.com', meaning: 'https://api.eu.iterable.com for projects in the EU, http://127.0.0.1:8080 for the simulator on this machine.' },
  { group: 'Iterable', name: 'ITERABLE_TIMEOUT_MS', kind: 'positiveInt', default: '10000', meaning: 'Time limit of one call, in milliseconds.' },
  { group: 'Iterable', name: 'ITERABLE_USERS_UPDATE_PER_SECOND', kind: 'positiveInt', default: '500', meaning: 'users/update calls a second, all instances together.' },
  { group: 'Iterable', name: 'ITERABLE_EVENTS_TRACK_PER_SECOND', kind: 'positiveInt', default: '2000', meaning: 'events/track calls a second, all instances together.' },
  { group: 'Iterable', name: 'HTTPS_PROXY', kind: 'proxy', default: null, secret: true, meaning: 'Proxy for calls to Iterable, http://[user:password@]host:port; not for loopback addresses.' },
  { group: 'Iterable', name: 'HTTP_PROXY', kind: 'proxy', default: null, secret: true, meaning: 'The same where ITERABLE_API_BASE_URL begins with http://.' },
  { group: 'Iterable', name: 'NO_PROXY', kind: 'text', default: null, meaning: 'Hosts that are called without a proxy, comma separated; * for all.' },
  { group: 'Rule', name: 'RULE_PLAN_TYPE', kind: 'text', default: 'pro', meaning: 'Plan of the customers to reach.' },
  { group: 'Rule', name: 'RULE_PAGES', kind: 'list', default: 'pricing,settings', meaning: 'Pages that count, comma separated.' },
  { group: 'Rule', name: 'RULE_LOOKBACK_DAYS', kind: 'positiveInt', default: '7', meaning: 'How many days back a view counts, from midnight in DB_TIME_ZONE.' },
  { group: 'Names and fields', name: 'CUSTOMERS_TABLE', kind: 'tableName', default: 'customers', meaning: 'Table of the customers, in DB_NAME.' },
  { group: 'Names and fields', name: 'PAGE_VIEWS_TABLE', kind: 'tableName', default: 'page_views', meaning: 'Table of the page views, in DB_NAME.' },
  { group: 'Names and fields', name: 'COLUMN_NAMES', kind: 'columnNames', default: null, meaning: 'role=name, comma separated: columns that are called otherwise than their roles, such as plan_type=tier,page_views.id=view_no.' },
  { group: 'Names and fields', name: 'PROFILE_FIELDS', kind: 'profileFields', default: 'first_name,last_name,plan_type,candidate', meaning: 'Columns of the customers that become dataFields of the profile, beside recent_page_view: column or column:fieldName, comma separated.' },
  { group: 'Names and fields', name: 'EVENT_FIELDS', kind: 'eventFields', default: 'page,device,location,candidate', meaning: 'Columns of the page views, else of the customers, that become dataFields of the event, beside timestamp.' },
  { group: 'HTTP', name: 'HTTP_HOST', kind: 'text', default: '127.0.0.1', meaning: 'Address that /healthz, /readyz, /metrics and /status listen on.' },
  { group: 'HTTP', name: 'HTTP_PORT', kind: 'portOrOff', default: '9464', meaning: 'Its port; 0 takes any free one, off none. Where the default is taken, any free one is.' },
  { group: 'Logs and results', name: 'LOG_LEVEL', kind: { oneOf: ['debug', 'info', 'warn', 'error', 'silent'] }, default: 'info', meaning: 'Level on the console: debug, info, warn, error or silent. The log file is always at debug.' },
  { group: 'Logs and results', name: 'LOG_FORMAT', kind: { oneOf: ['auto', 'json', 'pretty'] }, default: 'auto', meaning: 'What goes to stderr: json (a record a line), pretty (for people), or auto: pretty on a terminal, else json.' },
  { group: 'Logs and results', name: 'LOG_FILE', kind: 'text', default: null, meaning: 'Log file, rotated at 20 MB, ten kept; off for none. Not set: ./logs/COMMAND.log, one for each command.' },
  { group: 'Logs and results', name: 'RESULTS_DIR', kind: 'text', default: '.', meaning: 'Folder of the results files of backfill and replay.' },
] as const satisfies readonly SettingRow[];

export type SettingName = (typeof SETTINGS_TABLE)[number]['name'];

import type { DataModel } from '../model/data-model.ts';

/** The settings as the program uses them: grouped, typed, validated. See table.ts for each one. */

export interface DatabaseSettings {
  host: string;
  port: number;
  user: string;
  password: string;
  name: string;
  ssl: boolean;
  /** What MySQL's `SET time_zone` takes; `UTC` is written `+00:00`. */
  timeZone: string;
  /** What the tables and columns are called there, and which become dataFields. */
  model: DataModel;
}

export type KafkaCompression = 'none' | 'gzip' | 'zstd';

export interface KafkaSettings {
  brokers: readonly string[];
  clientId: string;
  ssl: boolean;
  /** What capture writes; left out: none. */
  compression?: KafkaCompression;
  sasl: {
    mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    username: string;
    password: string;
  } | null;
}

export interface TopicSettings {
  /** null: the embedded topics. */
  kafka: KafkaSettings | null;
  /** The name of the page views topic; the other three have it as their prefix. */
  topic: string;
  partitions: number;
  /** Where the embedded topics keep their file. */
  stateDir: string;
}

export type TopicFormat = 'page_view' | 'debezium' | 'maxwell';
export type StartFrom = 'backfill' | 'now' | 'earliest';

export interface ProxySettings {
  /** May hold a user name and a password. */
  url: string;
  /** Hosts that are called without it, comma separated; `*` for all. */
  except: string;
}

export interface IterableSettings {
  apiKey: string;
  baseUrl: string;
  timeoutMs: number;
  usersUpdatePerSecond: number;
  eventsTrackPerSecond: number;
  /** null: none. */
  proxy: ProxySettings | null;
}

export interface RuleSettings {
  planType: string;
  pages: readonly string[];
  lookbackDays: number;
}

export interface HttpSettings {
  host: string;
  /** 0: any free one; null: no server. */
  port: number | null;
}

export type LogFormat = 'auto' | 'json' | 'pretty';

export interface LogSettings {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  format: LogFormat;
  /** A path; empty: the command's own; null: no file. */
  file: string | null;
}

export interface Settings {
  db: DatabaseSettings;
  topics: TopicSettings;
  topicFormat: TopicFormat;
  groupId: string;
  startFrom: StartFrom;
  iterable: IterableSettings;
  rule: RuleSettings;
  http: HttpSettings;
  log: LogSettings;
  resultsDir: string;
}

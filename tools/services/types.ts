import type { DatabaseSettings, KafkaSettings } from '../../src/settings/types.ts';

/** Told, in one line, what is about to be done to the machine, before it is done. */
export type Say = (line: string) => void;

export type Flavour = 'mysql' | 'mariadb';

/** A server that can be had: `mariadb` is 10.11 or later, `mariadb11` is 11.8 or later. */
export type DatabaseKind = Flavour | 'mariadb11';

export const flavourOf = (kind: DatabaseKind): Flavour => (kind === 'mysql' ? 'mysql' : 'mariadb');

/** Everything that needs to be known to reach a database server, as plain data. */
export type DatabaseAddress = Pick<DatabaseSettings, 'host' | 'port' | 'user' | 'password'> & {
  flavour: Flavour;
  /** As `SELECT VERSION()` says it. */
  version: string;
};

/** What a server that we started can be made to do. A server that was given can do none of it. */
export interface ServerControl extends AsyncDisposable {
  /** As `stop()`, but without the orderly shutdown where the data are thrown away: quicker by 1 s. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Shuts down cleanly and removes the data, unless its folder was given. Repeats do nothing. */
  stop(): Promise<void>;
  /** SIGKILL: nothing is flushed. `restart()` brings it back on the same data and port. */
  kill(): Promise<void>;
  /** Stops it if it runs, and starts it again on the same data and port. */
  restart(): Promise<void>;
}

export interface DatabaseServer extends DatabaseAddress, ServerControl {
  /** The folder with `data/` and `error.log`; null where the data live in a container. */
  readonly dir: string | null;
  /** null while it is down, and for a container. */
  readonly pid: number | null;
}

export interface KafkaServer extends ServerControl {
  readonly brokers: KafkaSettings['brokers'];
  readonly dir: string | null;
  readonly pid: number | null;
}

/** One of a cluster's brokers, on a port and a folder of its own. */
export interface KafkaBroker {
  /** From 1 on. */
  readonly nodeId: number;
  /** `host:port`. */
  readonly address: string;
  readonly dir: string;
  /** null while it is down. */
  readonly pid: number | null;
  /** Shuts down cleanly: its leaderships go to the others first. */
  stop(): Promise<void>;
  /** SIGKILL: nothing is flushed. */
  kill(): Promise<void>;
  /** Starts it where it is down; it must be able to find a majority of the cluster. */
  start(): Promise<void>;
  /** SIGSTOP: it takes connections and answers nothing, until `thaw()`. */
  freeze(): void;
  thaw(): void;
}

export interface KafkaCluster extends AsyncDisposable {
  readonly brokers: KafkaSettings['brokers'];
  readonly nodes: readonly KafkaBroker[];
  /** Kills every broker, also one that is starting, and removes the data. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface KafkaClusterOptions {
  say: Say;
  brokers: number;
  /** Lines for every server.properties, after ours, so that they win. */
  properties?: Readonly<Record<string, string>>;
}

/** Where a server runs: as a container, or as a process of this machine. */
export type Way = 'docker' | 'native';

export interface StartOptions {
  say: Say;
  /** Where data are kept, and found again; a temporary folder, removed by `stop()`, otherwise. */
  dir?: string;
  /** On 127.0.0.1; a free one otherwise. */
  port?: number;
  /** The first way that works otherwise: see `ways.ts`. */
  way?: Way;
}

export interface DatabaseStartOptions extends StartOptions {
  /** Options of the server program, after ours, so that they win: `--binlog-row-image=MINIMAL`. */
  flags?: readonly string[];
  /** MySQL alone (MariaDB always has its own GTIDs); true by default. */
  gtid?: boolean;
}

export interface KafkaStartOptions extends StartOptions {
  /** Lines for server.properties, after ours, so that they win. */
  properties?: Readonly<Record<string, string>>;
  /** Many clients for long: made for speed. A process starts with half the work otherwise. */
  lasts?: boolean;
}

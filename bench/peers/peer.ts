import type { DatabaseAddress } from '../../tools/services/services.ts';

/** Where a program captures from and to, in one round. */
export interface PeerPlace {
  database: DatabaseAddress;
  brokers: readonly string[];
  /** The database that has `page_views`. */
  schema: string;
  topic: string;
  /** Letters, digits and underlines; no other round has it. */
  name: string;
  /** As a replica of MySQL. */
  serverId: number;
  /** An empty folder of its own. */
  folder: string;
  /** Settings of iterable-sync for this database and these brokers. */
  env: Readonly<Record<string, string>>;
  say: (line: string) => void;
}

export interface PeerCommand {
  command: readonly [string, ...string[]];
  env: Readonly<Record<string, string>>;
}

/** A program that captures `page_views` into a topic of Kafka, keyed by user. */
export interface Peer {
  id: string;
  title: string;
  /**
   * What starts it, at the first start and at every later one.
   * @throws UnavailableError where it can't be had on this machine, saying what to do.
   */
  prepare(place: PeerPlace): Promise<PeerCommand>;
  /** `page_views.id` of a message. */
  viewIdOf(value: unknown): number;
}

/** As Java's programs read their settings from a file. */
export const propertiesText = (properties: Readonly<Record<string, string>>): string =>
  Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

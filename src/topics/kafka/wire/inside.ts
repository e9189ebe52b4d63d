import { createRequire } from 'node:module';
import type { ISocketFactory, KafkaConfig, Logger } from 'kafkajs';
import { UnavailableError } from '../../../errors.ts';
import type { ConnectionClass } from './connect-once.ts';

/**
 * What the program uses of kafkajs beyond its published interface. It holds for this version only,
 * which package.json names exactly; `kafkajsInside` looks whether it is there.
 */
const VERSION = '2.2.4';
const FETCH_VERSION_MIN = 4;

export interface Request {
  apiKey: number;
  apiVersion: number;
  apiName: string;
  /** kafkajs writes `buffer`, and asks that `buf` is one. */
  encode: () => Promise<{ buf: Buffer; buffer: Buffer }>;
  expectResponse?: () => boolean;
}

interface Response {
  decode: (payload: Buffer) => Promise<unknown>;
  parse: (decoded: unknown) => Promise<unknown>;
}

export interface Protocol {
  request: Request;
  response: Response;
  requestTimeout?: number;
}

/** Two connections to one broker: one for fetches, one for everything else. */
interface ConnectionPool {
  send(request: Protocol & { logResponseError: boolean }): Promise<unknown>;
}

/** kafkajs' Broker: connects, authenticates, agrees on versions. */
export interface Broker {
  readonly connectionPool: ConnectionPool;
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  lookupRequest(apiKey: number, definition: unknown): (options: unknown) => Protocol;
}

interface BrokerOptions {
  connectionPool: ConnectionPool;
  logger: Logger;
  authenticationTimeout: number;
  allowAutoTopicCreation: boolean;
}

export interface PoolOptions extends Pick<
  KafkaConfig,
  'ssl' | 'sasl' | 'connectionTimeout' | 'requestTimeout' | 'enforceRequestTimeout'
> {
  brokers: readonly string[];
  clientId: string;
  logger: Logger;
  socketFactory: ISocketFactory;
}

/** kafkajs' messages of an old message set. */
export interface DecodedMessage {
  offset: string;
  timestamp: string;
  key: Buffer | null;
  value: Buffer | null;
}

export interface Inside {
  Broker: new (options: BrokerOptions) => Broker;
  Connection: ConnectionClass;
  poolBuilder: (options: PoolOptions) => {
    build(at: { host: string; port: number }): Promise<ConnectionPool>;
  };
  requests: Record<ApiName, unknown>;
  apiKeys: Record<ApiName, number>;
  Decoder: new (bytes: Buffer) => object;
  /** What a batch with these attributes is compressed with, or null (see codecs.ts). */
  codecOf: (attributes: number) => { decompress(bytes: Buffer): Promise<Buffer> } | null;
  /** Message sets of before Kafka 0.11. */
  decodeMessageSet: (decoder: object, size: number) => Promise<DecodedMessage[]>;
  /** kafkajs' name and text for an error code of the protocol. */
  errorOf: (code: number) => Error & { type: string };
}

const API_NAMES = ['Metadata', 'Produce', 'Fetch', 'ListOffsets', 'InitProducerId'] as const;
type ApiName = (typeof API_NAMES)[number];

/**
 * Loads it.
 * @throws UnavailableError where kafkajs is another version, or lacks a part.
 */
export function kafkajsInside(
  load: (path: string) => unknown = createRequire(import.meta.url),
): Inside {
  let found: Record<keyof Inside | 'version', unknown>;
  try {
    const of = (path: string): Record<string, unknown> => ({ ...Object(load(`kafkajs/${path}`)) });
    const fn = (path: string): unknown => load(`kafkajs/${path}`);
    found = {
      version: of('package.json')['version'],
      Broker: fn('src/broker/index.js'),
      Connection: fn('src/network/connection.js'),
      poolBuilder: fn('src/cluster/connectionPoolBuilder.js'),
      requests: of('src/protocol/requests/index.js')['requests'],
      apiKeys: fn('src/protocol/requests/apiKeys.js'),
      Decoder: fn('src/protocol/decoder.js'),
      codecOf: of('src/protocol/message/compression/index.js')['lookupCodecByAttributes'],
      decodeMessageSet: fn('src/protocol/messageSet/decoder.js'),
      errorOf: of('src/protocol/error.js')['createErrorFromCode'],
    };
  } catch (error) {
    throw unusable((error as Error).message, error);
  }
  if (found.version !== VERSION) throw unusable(`it is version ${String(found.version)}`);
  if (!isInside(found)) throw unusable('a part of it is missing');
  return found;
}

/** @throws UnavailableError where a broker and kafkajs have only an older version in common. */
export function checkVersion({ apiName, apiVersion }: Request, min: number): number {
  if (apiVersion >= min) return apiVersion;
  throw new UnavailableError(
    `Kafka is too old: ${apiName} version ${min} is needed, Kafka 0.11 or later`,
  );
}

/** As `messages.ts` decodes it. */
export const checkFetchVersion = (request: Request): number =>
  checkVersion(request, FETCH_VERSION_MIN);

function isInside(found: Record<keyof Inside, unknown>): found is Inside & typeof found {
  const { Broker, Connection, poolBuilder, requests, apiKeys, ...rest } = found;
  const isAll = (parts: unknown[]): boolean => parts.every((part) => typeof part === 'function');
  const hasAll = (table: unknown, kind: string): boolean =>
    typeof table === 'object' &&
    table !== null &&
    // `GroupCoordinator` and the like have other names in the two tables; ours have the same.
    API_NAMES.every((name) => typeof (table as Record<string, unknown>)[name] === kind);
  const functions = [rest.Decoder, rest.codecOf, rest.decodeMessageSet, rest.errorOf];
  if (!isAll([Broker, Connection, poolBuilder, ...functions])) return false;
  const methodsOf = (type: unknown) => (type as { prototype: Record<string, unknown> }).prototype;
  const broker = methodsOf(Broker);
  return (
    isAll(['isConnected', 'connect', 'disconnect'].map((name) => broker[name])) &&
    isAll([methodsOf(Connection)['connect']]) &&
    hasAll(requests, 'object') &&
    hasAll(apiKeys, 'number')
  );
}

function unusable(why: string, cause?: unknown): UnavailableError {
  return new UnavailableError(
    `The library kafkajs cannot be used (${why}): exactly version ${VERSION} is needed; install the packages again with npm ci`,
    { cause },
  );
}

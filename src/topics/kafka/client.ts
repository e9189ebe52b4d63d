import { Kafka, type KafkaConfig, type SASLOptions, logLevel } from 'kafkajs';
import {
  type ConnectionTrouble,
  type TroubleKind,
  connectionTrouble,
} from '../../connection-trouble.ts';
import { UnavailableError } from '../../errors.ts';
import type { Logger } from '../../observe/logger.ts';
import type { KafkaSettings } from '../../settings/types.ts';
import { registerCodecs } from './codecs.ts';
import { creationAdvice, hiddenTopics } from './grants.ts';
import { socketFactory } from './socket.ts';
import { connectOnce } from './wire/connect-once.ts';
import { kafkajsInside } from './wire/inside.ts';
import { KafkajsBrokers, type WireConfig } from './wire/kafkajs-brokers.ts';
import { Wire } from './wire/wire.ts';

const CONNECT_MS_MAX = 5_000;
const REQUEST_MS_MAX = 15_000;
const SILENCE = {
  answerMsMax: 10_000,
  /** Above the time that a group may take (member.ts). */
  rebalanceMsMax: 17_000,
};

function sasl(settings: KafkaSettings): { sasl?: SASLOptions } {
  if (settings.sasl === null) return {};
  return { sasl: settings.sasl };
}

/** kafkajs' log lines at ours: what it retries by itself is not worth a warning. */
function logCreator(logger: Logger): NonNullable<KafkaConfig['logCreator']> {
  return () =>
    ({ level, log, namespace }) => {
      const line = { namespace, error: log['error'] as unknown };
      if (level === logLevel.ERROR) logger.debug(line, `kafka: ${log.message}`);
      else logger.trace(line, `kafka: ${log.message}`);
    };
}

function connectionConfig(settings: KafkaSettings): WireConfig {
  return {
    clientId: settings.clientId,
    brokers: [...settings.brokers],
    ssl: settings.ssl,
    ...sasl(settings),
    connectionTimeout: CONNECT_MS_MAX,
    authenticationTimeout: CONNECT_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    enforceRequestTimeout: true,
    socketFactory: socketFactory(SILENCE),
  };
}

/** The cluster for the program's own sending and reading. Reached by the first question. */
export function openWire(settings: KafkaSettings, kafka: Kafka): Wire {
  registerCodecs();
  const inside = kafkajsInside();
  connectOnce(inside.Connection);
  return new Wire(new KafkajsBrokers(inside, kafka.logger(), connectionConfig(settings)), inside);
}

/** A client that gives up soon (for questions with an answer), or one that tries for longer. */
export function createClient(settings: KafkaSettings, logger: Logger, retries: number): Kafka {
  registerCodecs();
  const { brokers, ...config } = connectionConfig(settings);
  return new Kafka({
    ...config,
    brokers: [...brokers],
    retry: { retries, initialRetryTime: 100, maxRetryTime: 2_000 },
    logLevel: logLevel.WARN,
    logCreator: logCreator(logger),
  });
}

export const TRY_ADDRESS = 'check KAFKA_BROKERS and KAFKA_SSL, and that it runs';

/** What to do about a connection that does not come about. */
const ROUTES: Readonly<Record<TroubleKind, string>> = {
  refused: 'check KAFKA_BROKERS, and that it runs',
  name: 'check KAFKA_BROKERS, and the DNS of this machine',
  route: 'check KAFKA_BROKERS, and the network and firewalls on the way',
  closed:
    'check KAFKA_SSL, KAFKA_SASL_MECHANISM and KAFKA_BROKERS: a broker closes connections that do not come as it expects',
  certificate:
    'set NODE_EXTRA_CA_CERTS to the file of the authority that signed it, and KAFKA_BROKERS to names that it is for (KAFKA_SSL asks for TLS)',
  'no TLS': 'set KAFKA_SSL=false, or check KAFKA_BROKERS',
};

/** One sentence for what kafkajs throws: what, where, and what to do. */
export function explainKafkaError(error: unknown, settings: KafkaSettings): UnavailableError {
  const where = `Kafka at ${settings.brokers.join(',')}`;
  const { name, message } = error as Error;
  if (error instanceof UnavailableError) return error;
  if (name === 'KafkaJSSASLAuthenticationError') {
    return new UnavailableError(`${where} refuses the user ${settings.sasl?.username ?? ''}`, {
      cause: error,
      todo: 'check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD',
    });
  }
  const hidden = hiddenTopics(error);
  if (hidden.length > 0) {
    const { what, todo } = creationAdvice(hidden);
    return new UnavailableError(`${where} ${what}`, { cause: error, todo });
  }
  const trouble = connectionTrouble(error) ?? closedBy(error);
  if (trouble !== null) {
    return new UnavailableError(`${where} cannot be reached (${trouble.why})`, {
      cause: error,
      todo: ROUTES[trouble.kind],
    });
  }
  const isAway =
    /Connection|NumberOfRetriesExceeded|RequestTimeout|BrokerNotFound|NoBroker|NoAnswer/.test(name);
  return isAway
    ? new UnavailableError(`${where} cannot be reached (${message})`, {
        cause: error,
        todo: TRY_ADDRESS,
      })
    : new UnavailableError(`${where} failed: ${message}`, { cause: error });
}

/** kafkajs' own error for a connection that the broker ended has no code (network/connection.js). */
function closedBy(error: unknown): ConnectionTrouble | null {
  if (!(error instanceof Error)) return null;
  if (error.name === 'KafkaJSConnectionClosedError')
    return { kind: 'closed', why: 'the connection was closed' };
  return closedBy(error.cause);
}

export interface KafkaAddresses {
  port: number;
  controllerPort: number;
  dataDir: string;
}

/**
 * One broker that is its own controller, with the settings that a single one needs to serve groups
 * and idempotent producers. Topics are made by who wants them, never by a mistyped name.
 */
export function kafkaProperties(
  { port, controllerPort, dataDir }: KafkaAddresses,
  more: Readonly<Record<string, string>>,
): string {
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': dataDir,
    ...singleBroker,
    ...more,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

const singleBroker = {
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '5',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '5',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'auto.create.topics.enable': 'false',
  // After kill -9 it can come back only when its old registration has run out: 9 s by default.
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
} as const;

/** What a broker of a cluster has otherwise: every record on three, acknowledged by two at least. */
export const clusterProperties = (nodeId: number, voters: string): Record<string, string> => ({
  'node.id': String(nodeId),
  'controller.quorum.voters': voters,
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  'share.coordinator.state.topic.replication.factor': '3',
  'share.coordinator.state.topic.min.isr': '2',
});

/** The same for a container that reads `KAFKA_LOG_DIRS` as `log.dirs`, as apache/kafka does. */
export function kafkaContainerEnvironment(
  hostPort: number,
  more: Readonly<Record<string, string>>,
): Record<string, string> {
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': '1@localhost:9093',
    'controller.listener.names': 'CONTROLLER',
    listeners: 'PLAINTEXT://:9092,CONTROLLER://:9093',
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${hostPort}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    ...singleBroker,
    ...more,
  };
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [environmentName(name), value]),
  );
}

/** `log.dirs` → `KAFKA_LOG_DIRS`; a dash is three underlines, an underline two. */
export function environmentName(property: string): string {
  const name = property.replaceAll('_', '__').replaceAll('-', '___').replaceAll('.', '_');
  return `KAFKA_${name.toUpperCase()}`;
}

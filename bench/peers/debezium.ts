import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { servicesDir } from '../../tools/services/cache.ts';
import { DEBEZIUM_VERSION, prepareConnect } from '../../tools/services/connect-program.ts';
import { freePorts } from '../../tools/services/folders.ts';
import { type Peer, type PeerPlace, propertiesText } from './peer.ts';

const LOG4J = new URL('../../tools/services/log4j2.xml', import.meta.url).pathname;

/** As Kafka's own script starts a worker (connect-standalone.sh, kafka-run-class.sh). */
const JVM = [
  '-Xms256M',
  '-Xmx2G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
];

/** A worker of Kafka Connect by itself, as Kafka ships it; JSON without schemas. */
const workerProperties = (place: PeerPlace, port: number): Record<string, string> => ({
  'bootstrap.servers': place.brokers.join(','),
  'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'key.converter.schemas.enable': 'false',
  'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'value.converter.schemas.enable': 'false',
  'offset.storage.file.filename': join(place.folder, 'offsets'),
  listeners: `http://127.0.0.1:${port}`,
});

/** What it needs to be told; everything else as it comes. */
const connectorProperties = (place: PeerPlace): Record<string, string> => ({
  name: place.name,
  'connector.class': 'io.debezium.connector.mysql.MySqlConnector',
  'tasks.max': '1',
  'database.hostname': place.database.host,
  'database.port': String(place.database.port),
  'database.user': place.database.user,
  'database.password': place.database.password,
  'database.server.id': String(place.serverId),
  'topic.prefix': place.name,
  'database.include.list': place.schema,
  'table.include.list': `${place.schema}.page_views`,
  'snapshot.mode': 'no_data',
  // They would go to a topic of its own.
  'include.schema.changes': 'false',
  'schema.history.internal': 'io.debezium.storage.file.history.FileSchemaHistory',
  'schema.history.internal.file.filename': join(place.folder, 'schema-history'),
  'message.key.columns': `${place.schema}.page_views:user_id`,
  transforms: 'topic',
  'transforms.topic.type': 'org.apache.kafka.connect.transforms.RegexRouter',
  'transforms.topic.regex': `.*\\\\.page_views`,
  'transforms.topic.replacement': place.topic,
});

export const debezium: Peer = {
  id: 'debezium',
  title: `Debezium ${DEBEZIUM_VERSION.replace('.Final', '')}`,
  prepare: async (place) => {
    const { java, classPath, pluginPath } = await prepareConnect(servicesDir(), place.say);
    const [port = 0] = await freePorts(1);
    const worker = join(place.folder, 'worker.properties');
    const connector = join(place.folder, 'connector.properties');
    await writeFile(
      worker,
      propertiesText({ ...workerProperties(place, port), 'plugin.path': pluginPath }),
    );
    await writeFile(connector, propertiesText(connectorProperties(place)));
    const main = 'org.apache.kafka.connect.cli.ConnectStandalone';
    return {
      command: [
        java,
        ...JVM,
        `-Dlog4j2.configurationFile=${LOG4J}`,
        '-cp',
        classPath,
        main,
        worker,
        connector,
      ],
      env: {},
    };
  },
  viewIdOf: (value) => (value as { after: { id: number } }).after.id,
};

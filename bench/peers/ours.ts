import type { Peer } from './peer.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

export const ours: Peer = {
  id: 'iterable-sync',
  title: 'iterable-sync',
  prepare: async ({ env, topic, name }) => ({
    command: [process.execPath, MAIN, 'capture'],
    env: {
      ...env,
      KAFKA_TOPIC: topic,
      KAFKA_GROUP_ID: name,
      START_FROM: 'now',
      LOG_FILE: 'off',
    },
  }),
  viewIdOf: (value) => (value as { id: number }).id,
};

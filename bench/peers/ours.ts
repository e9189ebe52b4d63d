import type { Peer } from './peer.ts';

/** The launcher: what is measured is the program as users start it, with its limits for V8. */
const PROGRAM = new URL('../../bin/iterable-sync', import.meta.url).pathname;

export const ours: Peer = {
  id: 'iterable-sync',
  title: 'iterable-sync',
  prepare: async ({ env, topic, name }) => ({
    command: [PROGRAM, 'capture'],
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

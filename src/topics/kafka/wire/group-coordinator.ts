import type { Broker, Cluster } from 'kafkajs';
import { endsWithin } from '../beating.ts';
import { NOT_COORDINATOR } from './error-codes.ts';
import type { Inside } from './inside.ts';

/** `findGroupCoordinatorMetadata` takes the brokers in any order, and ends at one that is down. */
const QUESTIONS_MAX = 3;
const ANSWER_MS_MAX = 2_000;
const SILENCE_MS_MAX = 3_000;
const COORDINATORS_OF_GROUPS = 0;

/** kafkajs' broker has both; its types don't say so (broker/index.js). */
type Coordinator = Broker & { nodeId: number; heartbeat(payload: unknown): Promise<unknown> };

/** In kafkajs' types the kind is missing, and without it no request is written. */
type Asking = Cluster & {
  findGroupCoordinatorMetadata(about: {
    groupId: string;
    coordinatorType: number;
  }): ReturnType<Cluster['findGroupCoordinatorMetadata']>;
};

/**
 * Makes good where kafkajs' consumer, whose cluster this is, asks one broker for ever: it looks for
 * the group's coordinator when it joins, and after that only when the old one says itself that it
 * is not the coordinator any more (consumer/runner.js). One that is down says nothing. Here, when a
 * heartbeat does not get through, or has no answer yet after 3 s, the other brokers are asked. Where
 * they name another coordinator, it fails as if the old one had said so: the member joins there,
 * under its own name.
 */
export function followCoordinator(cluster: Cluster, inside: Inside): void {
  const find = cluster.findGroupCoordinator.bind(cluster);
  cluster.findGroupCoordinator = async ({ groupId }) => {
    const broker = (await find({ groupId })) as Coordinator;
    const hasMoved = async (): Promise<boolean> => {
      const node = await coordinatorNow(cluster, groupId);
      return node !== null && node !== broker.nodeId;
    };
    const heartbeat = async (payload: unknown): Promise<unknown> => {
      const beat = broker.heartbeat(payload);
      try {
        const isSilent = !(await endsWithin(beat, SILENCE_MS_MAX));
        if (isSilent && (await hasMoved())) throw inside.errorOf(NOT_COORDINATOR);
        return await beat;
      } catch (error) {
        if (!isUnreached(error) || !(await hasMoved())) throw error;
        throw inside.errorOf(NOT_COORDINATOR);
      }
    };
    return Object.create(broker, { heartbeat: { value: heartbeat, writable: true } }) as Broker;
  };
}

/** Its node, or null where nobody tells. */
async function coordinatorNow(cluster: Cluster, groupId: string): Promise<number | null> {
  const { promise: over, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, ANSWER_MS_MAX, null);
  const about = { groupId, coordinatorType: COORDINATORS_OF_GROUPS };
  try {
    for (let asked = 0; asked < QUESTIONS_MAX; asked++) {
      const answer = (cluster as Asking)
        .findGroupCoordinatorMetadata(about)
        .then(({ coordinator }) => coordinator.nodeId)
        .catch(() => undefined);
      const found = await Promise.race([answer, over]);
      if (found !== undefined) return found;
    }
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function isUnreached(error: unknown): boolean {
  return /^KafkaJS(Connection(Closed)?Error|RequestTimeoutError)$/.test((error as Error).name);
}

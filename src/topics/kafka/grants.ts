import { UnavailableError } from '../../errors.ts';

/** Where the README lists what each user needs. */
const LISTED = 'the README lists what is needed under "Kafka ACLs"';

/** kafkajs has these beside its errors' messages (errors.js). */
interface KafkaJsError {
  name?: string;
  type?: string;
  topic?: string;
  errors?: readonly unknown[];
  cause?: unknown;
}

/** What broke first: kafkajs wraps it where it does not try again (retry/index.js). */
function rootOf(error: unknown): KafkaJsError {
  let root = error as KafkaJsError;
  while (root.cause instanceof Error) root = root.cause;
  return root;
}

const isTopicRefusal = ({ type }: KafkaJsError): boolean => type === 'TOPIC_AUTHORIZATION_FAILED';

/** Whether brokers refused to let this user work on a topic. */
export const isRefused = (error: unknown): boolean => isTopicRefusal(rootOf(error));

/** The topics that could not be created for want of a grant: each is missing, or hidden from us. */
export function hiddenTopics(error: unknown): string[] {
  const { errors = [] } = rootOf(error);
  return errors.flatMap((one) => {
    const { topic, ...rest } = one as KafkaJsError;
    const isDenied = isTopicRefusal(rest) || rest.type === 'CLUSTER_AUTHORIZATION_FAILED';
    return isDenied && topic !== undefined ? [topic] : [];
  });
}

/** What to grant where brokers refused a member of a group; empty where something else failed. */
function memberAdvice(error: unknown, groupId: string, topics: readonly string[]): string {
  const { name, type } = rootOf(error);
  if (isRefused(error))
    return `; grant this user Read on the topics ${topics.join(', ')} (${LISTED})`;
  // kafkajs keeps to itself why nobody names the coordinator: without the grant, nobody does.
  const isGroup =
    type === 'GROUP_AUTHORIZATION_FAILED' || name === 'KafkaJSGroupCoordinatorNotFound';
  return isGroup ? `; grant this user Read on the group ${groupId} (${LISTED})` : '';
}

/** Why a member of the group cannot go on, in one sentence. */
export const crashOf = (error: Error, groupId: string, topics: readonly string[]) =>
  new UnavailableError(
    `Kafka: the consumer cannot go on: ${error.message}${memberAdvice(error, groupId, topics)}. When that is put right, start it again: it goes on from where it was`,
    { cause: error },
  );

export const creationAdvice = (topics: readonly string[]): { what: string; todo: string } => ({
  what: `does not let this user see or create the topics ${topics.join(', ')}`,
  todo: `grant Describe where they are there, or Create (${LISTED})`,
});

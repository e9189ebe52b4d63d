import type { Publisher, TopicNames } from '../topics/port.ts';
import { USER_CHANGE_SCHEMA, type UserChangeCause } from '../topics/messages.ts';
import { userChange } from './messages.ts';

export interface BootstrapOptions {
  publisher: Publisher;
  names: TopicNames;
  eligibleUserIds: () => AsyncIterable<readonly (number | string)[]>;
  /** Saved with the last of the messages. */
  checkpoint: { source: string; value: string };
  signal: AbortSignal;
}

/**
 * Asks for a look at every eligible user. The checkpoint is saved only when all of them are
 * durable, so a crash before that begins it again. Returns how many there were, or null when the
 * signal came first.
 */
export async function publishEveryone(options: BootstrapOptions): Promise<number | null> {
  const { publisher, names, checkpoint, signal } = options;
  const users = await publishLooks(publisher, names, options.eligibleUserIds(), 'backfill', signal);
  if (signal.aborted) return null;
  await publisher.publish([], checkpoint, signal);
  return users;
}

/** Asks for a look at each of these users; how many there were when `signal` came or all had. */
export async function publishLooks(
  publisher: Publisher,
  { userChanges }: TopicNames,
  userIds: AsyncIterable<readonly (number | string)[]>,
  cause: UserChangeCause,
  signal: AbortSignal,
): Promise<number> {
  const headers = { schema: USER_CHANGE_SCHEMA };
  let users = 0;
  for await (const ids of userIds) {
    if (signal.aborted) break;
    const nowMs = Date.now();
    const messages = ids.map((id) => userChange(userChanges, id, cause, nowMs, headers));
    await publisher.publish(messages, undefined, signal);
    users += ids.length;
  }
  return users;
}

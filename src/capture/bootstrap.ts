import type { Publisher, TopicNames } from '../topics/port.ts';
import { USER_CHANGE_SCHEMA } from '../topics/messages.ts';
import { userChange } from './row-messages.ts';

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
  const headers = { schema: USER_CHANGE_SCHEMA };
  let users = 0;
  for await (const ids of options.eligibleUserIds()) {
    if (signal.aborted) return null;
    const nowMs = Date.now();
    const messages = ids.map((id) => userChange(names.userChanges, id, 'backfill', nowMs, headers));
    await publisher.publish(messages, undefined, signal);
    users += ids.length;
  }
  if (signal.aborted) return null;
  await publisher.publish([], checkpoint, signal);
  return users;
}

import { MessageList } from '../../src/topics/message-list.ts';
import type { OutgoingBatch, OutgoingMessage } from '../../src/topics/port.ts';

/** The messages of a MessageList, or of a list. */
export function listed(
  messages: OutgoingBatch | readonly OutgoingMessage[],
): readonly OutgoingMessage[] {
  if (messages instanceof MessageList) return messages.messages;
  if (!('length' in messages)) throw new TypeError("another publisher's batch");
  return messages;
}

import type { Reply } from './read-response.ts';

/** Why a call is made again. `not-iterable`: something else answers in its place. */
export type RetryReason =
  'connection' | 'key-refused' | 'not-iterable' | 'rate-limit' | 'server-error' | 'timeout';

/** null where it is not: Iterable has decided. */
export function retryReason(reply: Reply): RetryReason | null {
  if (reply.kind === 'unauthorised') return 'key-refused';
  if (reply.kind !== 'retry') return null;
  const { status, message } = reply;
  if (status === null) return message.startsWith('no answer within') ? 'timeout' : 'connection';
  if (status === 429) return 'rate-limit';
  if (status === 408) return 'timeout';
  return status >= 500 ? 'server-error' : 'not-iterable';
}

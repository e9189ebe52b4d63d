import type { Verdict } from './read-response.ts';

/** Why a call is made again. `not-iterable`: something else answers in its place. */
export type RetryReason =
  'connection' | 'key-refused' | 'not-iterable' | 'rate-limit' | 'server-error' | 'timeout';

/** null where it is not: Iterable has decided. */
export function retryReason(verdict: Verdict): RetryReason | null {
  if (verdict.kind === 'unauthorised') return 'key-refused';
  if (verdict.kind !== 'retry') return null;
  const { status, message } = verdict;
  if (status === null) return message.startsWith('no answer within') ? 'timeout' : 'connection';
  if (status === 429) return 'rate-limit';
  if (status === 408) return 'timeout';
  return status >= 500 ? 'server-error' : 'not-iterable';
}

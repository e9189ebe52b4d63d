import type { Outcome } from '../../deliver/sink.ts';
import { cleanMessage } from './read-response.ts';

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** The address as Iterable writes it in the answers of its bulk endpoints. */
export function bulkKey(email: string): string {
  return email.trim().toLowerCase();
}

/**
 * Who failed in a bulk call that was accepted: address (lower-cased, as Iterable answers) → the
 * list that named it (`invalidEmails`, `forgottenEmails`, …). Failures come by address, not by
 * index; lists that are not known yet are read as well, as long as they hold text.
 */
export function bulkFailures(body: unknown): Map<string, string> {
  const answer = asRecord(body);
  const failures = new Map<string, string>();
  for (const lists of [answer, asRecord(answer['failedUpdates'])]) {
    for (const [name, list] of Object.entries(lists)) {
      if (!name.endsWith('Emails') || !Array.isArray(list)) continue;
      for (const email of list) if (typeof email === 'string') failures.set(bulkKey(email), name);
    }
  }
  return failures;
}

/** Whether the answer says that some item failed, named or not. */
export function bulkFailCount(body: unknown): number {
  const count = asRecord(body)['failCount'];
  return typeof count === 'number' ? count : 0;
}

/** Event names that the project does not take. */
export function disallowedEvents(body: unknown): ReadonlySet<string> {
  const names = asRecord(body)['disallowedEventNames'];
  return new Set(Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []);
}

/**
 * One item's outcome in a bulk call that was accepted as a whole, with its own part of the answer:
 * the rest is about others.
 */
export function itemOutcome(whole: Outcome, failedList: string | undefined): Outcome {
  if (failedList === undefined) return { ...whole, body: { code: 'Success' } };
  const code = cleanMessage(failedList);
  return {
    kind: 'refused',
    status: whole.status,
    code,
    message: `the bulk answer names the address in ${code}`,
    body: { code },
  };
}

import type { Delivery } from '../deliver/sink.ts';

/** Said in place of a summary where the rule finds nobody. */
export const NOBODY = 'No pro users with recent pricing/settings page views found';

/** The counts of a backfill or replay. */
export interface Totals {
  processed: number;
  /** All calls accepted. */
  successful: number;
  /** Some refused. */
  partial: number;
  /** All refused. */
  failed: number;
}

export const NO_TOTALS: Totals = { processed: 0, successful: 0, partial: 0, failed: 0 };

export function withDelivery(totals: Totals, { calls }: Delivery): Totals {
  const accepted = calls.filter(({ outcome }) => outcome.kind === 'ok').length;
  const isPartial = accepted > 0 && accepted < calls.length;
  return {
    processed: totals.processed + 1,
    successful: totals.successful + (accepted === calls.length ? 1 : 0),
    partial: totals.partial + (isPartial ? 1 : 0),
    failed: totals.failed + (accepted === 0 ? 1 : 0),
  };
}

/** The summary that ends a backfill or replay; what was not attempted may not be known to a man. */
export interface Summary {
  totals: Totals;
  notAttempted: number | string;
  /** The results, or null. */
  file: string | null;
}

/** For people. */
export function summaryText({ totals, notAttempted, file }: Summary): string {
  const lines = [
    'Summary',
    `  Total users processed:              ${totals.processed}`,
    `  Successful (both calls):            ${totals.successful}`,
    `  Partial failures (one call failed): ${totals.partial}`,
    `  Total failures (both failed):       ${totals.failed}`,
    `  Not attempted:                      ${notAttempted}`,
  ];
  if (file !== null) lines.push(`Results: ${file}`);
  return lines.join('\n');
}

/** For programs. */
export function summaryFields({ totals, notAttempted, file }: Summary): Record<string, unknown> {
  return {
    total_users: totals.processed,
    successful: totals.successful,
    partial_failures: totals.partial,
    total_failures: totals.failed,
    not_attempted: notAttempted,
    ...(file === null ? {} : { results: file }),
  };
}

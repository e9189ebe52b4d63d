import { openDatabase } from '../database/open.ts';
import { callField } from '../deliver/delivery.ts';
import { payloadsOf } from '../sinks/iterable/payloads.ts';
import { plainJson } from '../plain-text.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import type { Logger } from '../observe/logger.ts';
import { ruleFingerprint } from '../rule/fingerprint.ts';
import { Rule } from '../rule/rule.ts';
import type { CommandContext } from './context.ts';
import { ResumeFile } from './resume-file.ts';
import { STOPPED_EXIT_CODE } from './shutdown.ts';
import { NOBODY } from './totals.ts';

export interface BackfillOptions {
  dryRun: boolean;
  bulk: boolean;
  resume: boolean;
  /** At most so many users; null for all. */
  limit: number | null;
  /** Part of Iterable's limits, 0 to 1. */
  rateShare: number;
}

const PAGE_CUSTOMERS = 1_000;

/** Pages of eligible users, cut off after `limit` users. */
async function* pages(
  rule: Rule,
  afterId: string,
  limit: number | null,
): AsyncGenerator<EligibleUser[]> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const page of rule.everyone(PAGE_CUSTOMERS, afterId)) {
    if (left <= 0) return;
    yield page.slice(0, left);
    left -= page.length;
  }
}

/** One line of JSON a user: the payloads, or why there is none. */
export function dryRunLine(user: EligibleUser): string {
  const ids = { user_id: user.userId, page_view_id: user.pageViewId };
  const payloads = payloadsOf(user);
  if (payloads === null) return plainJson({ ...ids, refused: 'no usable e-mail address' });
  const calls = payloads.map(({ name, payload }) => [callField(name), payload]);
  return plainJson({ ...ids, ...Object.fromEntries(calls) });
}

/** The user id to begin after, and a sentence that says why. */
function beginning(options: BackfillOptions, file: ResumeFile, logger: Logger): string {
  if (!options.resume) return '0';
  const left = file.load();
  switch (left.kind) {
    case 'nothing':
      logger.info('nothing to resume: starting with the first user');
      return '0';
    case 'other rule':
      logger.warn(
        'the rule, its time zone or the Iterable project is not the one of the backfill to resume: starting with the first user',
      );
      return '0';
    case 'place':
      if (left.lastUserId === '0') logger.info('resuming: nobody was done, so with the first user');
      else logger.info(`resuming after user ${left.lastUserId}`);
      return left.lastUserId;
  }
}

/** The rule's query → Iterable, once. */
export async function backfill(context: CommandContext, options: BackfillOptions): Promise<number> {
  const { settings, logger } = context;
  await using database = await openDatabase(settings.db);
  const resumeFile = new ResumeFile(settings.topics.stateDir, ruleFingerprint(settings));
  const afterId = beginning(options, resumeFile, logger);
  const rule = new Rule(database.query, settings.rule, settings.db);
  await rule.ready();
  const source = pages(rule, afterId, options.limit);
  if (options.dryRun) return await dryRun(context, source);
  // What sends is not loaded by what only prints.
  const { sendFound } = await import('./backfill-sending.ts');
  return await sendFound(context, options, { database, rule, source, afterId, resumeFile });
}

async function dryRun(
  { print, say, logger, signal }: CommandContext,
  source: AsyncIterable<EligibleUser[]>,
): Promise<number> {
  let found = 0;
  for await (const page of source) {
    found += page.length;
    for (const user of page) print(dryRunLine(user));
    if (signal.aborted) return STOPPED_EXIT_CODE;
  }
  if (found === 0) say(NOBODY);
  else logger.info(`${found} ${found === 1 ? 'user' : 'users'} would be sent`);
  return 0;
}

import { openDatabase } from '../database/open.ts';
import { type Trigger, askedFor } from '../deliver/trigger.ts';
import { UsageError } from '../errors.ts';
import { oneLine, plainJson } from '../plain-text.ts';
import { Rule } from '../rule/rule.ts';
import { openTopics } from '../topics/open.ts';
import type { DeadLetter, KeptLetter, Topics } from '../topics/port.ts';
import { Batch } from './batch.ts';
import type { CommandContext } from './context.ts';
import { Progress } from './progress.ts';
import { RetriedLetters } from './retried-letters.ts';
import { untilStopped } from './until-stopped.ts';

/** Which dead letters a command is about. */
export interface Selection {
  ids: readonly string[];
  all: boolean;
}

interface Selected {
  count: number;
  letters: AsyncIterable<readonly KeptLetter[]>;
}

/** @throws UsageError where an id has no letter, before anything is done. */
async function select(topics: Topics, { ids, all }: Selection): Promise<Selected> {
  const { deadLetters } = topics;
  if (all) return { count: await deadLetters.count(), letters: deadLetters.list() };
  if (ids.length === 0) throw new UsageError('name the ids of dead letters, or say --all');
  const wanted = new Set(ids);
  const found: KeptLetter[] = [];
  for await (const kept of deadLetters.list()) {
    found.push(...kept.filter(({ letter }) => wanted.has(letter.id)));
  }
  const known = new Set(found.map(({ letter }) => letter.id));
  const unknown = ids.filter((id) => !known.has(id));
  if (unknown.length > 0) {
    throw new UsageError(
      `there is no dead letter ${unknown.join(', ')}; dead-letters list shows them`,
    );
  }
  return { count: found.length, letters: once(found) };
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield await Promise.resolve(value);
}

function line(letter: DeadLetter): string {
  const user = letter.userId === null ? '-' : letter.userId;
  return [letter.id, user, letter.reason, letter.time].map(oneLine).join('\t');
}

/** Prints the deliveries that were refused for good: a line each, or JSON. */
export async function listDeadLetters(
  { settings, logger, outages, print, signal }: CommandContext,
  json: boolean,
): Promise<number> {
  await using topics = await openTopics(settings.topics, logger, outages);
  await topics.ensureTopics();
  let isFirst = true;
  for await (const kept of topics.deadLetters.list()) {
    for (const { letter } of kept) {
      if (isFirst && !json) print(['id', 'user', 'reason', 'time'].join('\t'));
      isFirst = false;
      print(json ? plainJson(letter) : line(letter));
    }
    if (signal.aborted) break;
  }
  if (isFirst && !json) print('No dead letters');
  return 0;
}

export async function discardDeadLetters(
  { settings, logger, outages, say }: CommandContext,
  selection: Selection,
): Promise<number> {
  await using topics = await openTopics(settings.topics, logger, outages);
  await topics.ensureTopics();
  let discarded = 0;
  for await (const kept of (await select(topics, selection)).letters) {
    await topics.deadLetters.remove(kept);
    discarded += kept.length;
  }
  say(`Discarded: ${discarded}`, { discarded });
  return 0;
}

/**
 * Looks at the users again and sends what the rule says of them now. What Iterable takes, and what
 * is no longer eligible, leaves the dead letters as soon as it is done; what it refuses again
 * stays, and so does what is written meanwhile. A message that could not be read has no user: it
 * can only be discarded. `rateShare` is the part of Iterable's limits to use, 0 to 1.
 */
export async function retryDeadLetters(
  context: CommandContext,
  selection: Selection,
  rateShare: number,
): Promise<number> {
  const { settings, logger, outages, signal, screen, say } = context;
  await using database = await openDatabase(settings.db);
  await using topics = await openTopics(settings.topics, logger, outages);
  await topics.ensureTopics();
  const { count, letters } = await select(topics, selection);
  const rule = new Rule(database.query, settings.rule, settings.db);
  await rule.ready();
  await using batch = new Batch(context, {
    rule,
    session: database.session,
    share: rateShare,
    deadLetters: topics.deadLetters,
    looksMax: 1,
  });
  const retried = new RetriedLetters((done) => topics.deadLetters.remove(done));
  let unreadable = 0;
  const work = (async () => {
    for await (const kept of letters) {
      for (const one of kept) {
        await batch.reconciler.room();
        if (batch.isEnding) return;
        const { userId } = one.letter;
        if (userId === null) unreadable += 1;
        else batch.reconciler.accept([triggerOf(one, userId, retried)]);
      }
    }
    await batch.reconciler.idle();
  })();
  let finished = false;
  try {
    const done = (): number => retried.finished + batch.usersUnverified;
    using progress = new Progress({ what: 'dead letters', done, screen, logger });
    progress.setTotal(count);
    finished = await untilStopped(work, batch.fatal, signal);
  } finally {
    await batch.end(() => (finished ? 0 : count - unreadable - retried.finished));
    await retried.removed();
  }
  if (unreadable > 0)
    say(`Cannot be retried (unreadable messages): ${unreadable}; discard them`, { unreadable });
  const exitCode = batch.exitCode(finished);
  return unreadable > 0 ? Math.max(exitCode, 1) : exitCode;
}

function triggerOf(kept: KeptLetter, userId: string, retried: RetriedLetters): Trigger {
  retried.begin(userId);
  const now = { ms: performance.now(), epochMs: Date.parse(kept.letter.time) };
  return askedFor(userId, now, (outcome) => retried.finish(userId, kept, outcome === 'refused'));
}

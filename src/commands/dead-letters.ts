import { openDatabase } from '../database/open.ts';
import type { WorkItem } from '../delivery/engine.ts';
import { UsageError } from '../errors.ts';
import { oneLine, plainJson } from '../plain-text.ts';
import { openTopics } from '../topics/open.ts';
import type { DeadLetter, Topics } from '../topics/port.ts';
import { Batch, untilStopped } from './batch.ts';
import type { CommandContext } from './context.ts';

/** Which dead letters a command is about. */
export interface Selection {
  ids: readonly string[];
  all: boolean;
}

async function select(topics: Topics, { ids, all }: Selection): Promise<DeadLetter[]> {
  const letters = await topics.deadLetters.list();
  if (all) return letters;
  if (ids.length === 0) throw new UsageError('name the ids of dead letters, or say --all');
  const unknown = ids.filter((id) => !letters.some((letter) => letter.id === id));
  if (unknown.length > 0) {
    throw new UsageError(
      `there is no dead letter ${unknown.join(', ')}; dead-letters list shows them`,
    );
  }
  return letters.filter(({ id }) => ids.includes(id));
}

function line(letter: DeadLetter): string {
  const user = letter.userId === null ? '-' : letter.userId;
  return [letter.id, user, letter.reason, letter.time].map(oneLine).join('\t');
}

/** Prints the deliveries that were refused for good: a line each, or JSON. */
export async function listDeadLetters(
  { settings, logger, print }: CommandContext,
  json: boolean,
): Promise<number> {
  await using topics = await openTopics(settings.topics, logger);
  await topics.ensureTopics();
  const letters = await topics.deadLetters.list();
  if (json) {
    for (const letter of letters) print(plainJson(letter));
    return 0;
  }
  if (letters.length === 0) print('No dead letters');
  else print(['id', 'user', 'reason', 'time'].join('\t'));
  for (const letter of letters) print(line(letter));
  return 0;
}

export async function discardDeadLetters(
  { settings, logger, print }: CommandContext,
  selection: Selection,
): Promise<number> {
  await using topics = await openTopics(settings.topics, logger);
  await topics.ensureTopics();
  const letters = await select(topics, selection);
  await topics.deadLetters.remove(letters.map(({ id }) => id));
  print(`Discarded: ${letters.length}`);
  return 0;
}

/**
 * Looks at the users again and sends what the rule says of them now. What Iterable takes, and what
 * is no longer eligible, leaves the dead letters; what it refuses again stays. A message that could
 * not be read has no user: it can only be discarded. `rateShare` is the part of Iterable's limits
 * to use, 0 to 1.
 */
export async function retryDeadLetters(
  context: CommandContext,
  selection: Selection,
  rateShare: number,
): Promise<number> {
  const { settings, logger, signal, print } = context;
  await using database = await openDatabase(settings.db);
  await using topics = await openTopics(settings.topics, logger);
  await topics.ensureTopics();
  const letters = await select(topics, selection);
  const withUser = letters.filter((letter) => letter.userId !== null);
  await using batch = new Batch(context, {
    query: database.query,
    session: database.session,
    share: rateShare,
    deadLetters: topics.deadLetters,
    looksMax: 1,
    usersMax: Number.POSITIVE_INFINITY,
  });
  const refusedUsers = new Set<string>();
  const finishedLetters: DeadLetter[] = [];
  const items = withUser.map((letter): WorkItem => ({
    userId: letter.userId ?? '',
    viewId: null,
    isChange: false,
    gtid: null,
    committedAtMs: Date.parse(letter.time),
    seenAtMs: performance.now(),
    finish: (outcome) => {
      if (outcome === 'refused') refusedUsers.add(letter.userId ?? '');
      finishedLetters.push(letter);
    },
  }));
  let finished = false;
  try {
    batch.engine.accept(items);
    finished = await untilStopped(batch.engine.idle(), batch.fatal, signal);
  } finally {
    await batch.end(() => withUser.length - finishedLetters.length);
    const over = finishedLetters.filter((letter) => !refusedUsers.has(letter.userId ?? ''));
    await topics.deadLetters.remove(over.map(({ id }) => id));
  }
  const unreadable = letters.length - withUser.length;
  if (unreadable > 0)
    print(`Can not be retried (unreadable messages): ${unreadable}; discard them`);
  const exitCode = batch.exitCode(finished);
  return unreadable > 0 ? Math.max(exitCode, 1) : exitCode;
}

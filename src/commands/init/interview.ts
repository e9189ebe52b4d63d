import type { SettingName } from '../../settings/table.ts';
import type { Settings } from '../../settings/types.ts';
import { UnavailableError } from '../../errors.ts';
import { type Given, isAnswered, settingsOf } from './given.ts';
import { askFor, choose, say, shown } from './questions.ts';
import {
  type Inspected,
  type Tried,
  inspectDatabase,
  tryIterable,
  tryKafka,
  tryServer,
  tryUser,
} from './tries.ts';

interface Step {
  asks: readonly SettingName[];
  what: string;
  try: (settings: Settings) => Promise<Tried>;
}

const STEPS: readonly Step[] = [
  { asks: ['DB_HOST', 'DB_PORT'], what: 'the server answers', try: ({ db }) => tryServer(db) },
  { asks: ['DB_USER', 'DB_PASSWORD'], what: 'it lets the user in', try: ({ db }) => tryUser(db) },
  {
    asks: ['DB_NAME'],
    what: 'the database is there',
    async try({ db }) {
      const { missing } = await inspectDatabase(db);
      return missing === null ? { ok: true } : { ok: false, because: missing, again: ['DB_NAME'] };
    },
  },
  { asks: ['KAFKA_BROKERS'], what: 'the topics have a place', try: tryKafka },
  {
    asks: ['ITERABLE_API_BASE_URL', 'ITERABLE_API_KEY'],
    what: 'Iterable takes the key',
    try: ({ iterable }) => tryIterable(iterable),
  },
];

/** A server that goes away between two tries is a try that failed. */
async function attempt({ asks, try: run }: Step, given: Given): Promise<Tried> {
  try {
    return await run(settingsOf(given).settings);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return { ok: false, because: error.message, again: asks };
  }
}

/**
 * Tries all that is given, in order, without a question: the first that fails, null where none
 * does. A database that is not there is none of them: setup-db may make it.
 */
export async function firstRefusal(given: Given): Promise<string | null> {
  for (const step of STEPS.filter(({ asks }) => !asks.includes('DB_NAME'))) {
    const tried = await attempt(step, given);
    if (!tried.ok) return tried.because;
  }
  return null;
}

/** Asks for what is not given, and tries it as it is given; false: the user wants to stop. */
export async function interview(given: Given): Promise<boolean> {
  for (const step of STEPS) {
    const open = step.asks.filter((name) => !isAnswered(name, given));
    if (!(await askFor(open, given))) return false;
    for (;;) {
      const tried = await shown(step.what, attempt(step, given));
      if (tried.ok) break;
      if (tried.again.includes('DB_SSL') && !given.has('DB_SSL')) {
        say('DB_SSL is true from here on');
        given.set('DB_SSL', 'true');
        continue;
      }
      const next = await choose('What now?', {
        again: `give ${tried.again.join(' and ')} anew`,
        retry: 'try the same once more',
        keep: 'keep it as it is, and go on',
      });
      if (next === null) return false;
      if (next === 'keep') break;
      if (next === 'again' && !(await askFor(tried.again, given))) return false;
    }
  }
  return true;
}

/**
 * Looks at the server until it needs nothing more, or the user goes on without; `show` is given
 * each state that lacks something. null: the user wants to stop, or the server is out of reach.
 */
export async function untilComplete(
  given: Given,
  show: (found: Inspected) => void,
): Promise<'complete' | 'incomplete' | 'stop'> {
  for (;;) {
    const found = await inspectDatabase(settingsOf(given).settings.db);
    show(found);
    if (found.sql.length === 0) return found.missing === null ? 'complete' : 'incomplete';
    const next = await choose('The server needs the statements above.', {
      again: 'they were run: look again',
      later: 'later: write .env, and go on',
    });
    if (next === null) return 'stop';
    if (next === 'later') return 'incomplete';
  }
}

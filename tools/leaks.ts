/**
 * Finds the secrets and e-mail addresses that tests plant, where the contract does not allow them:
 *   node tools/leaks.ts [--tree FOLDER]... FILE...
 * A FILE is output: neither may be in it. A tree holds what programs under test left behind; each
 * file there is judged by its name. Exits 1 with a line for each find, which never repeats it.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * What a file may hold: `output` nothing, `log` addresses below INFO, `state` any address, and the
 * `settings` that `init` writes a secret too.
 */
export type FileKind = 'output' | 'log' | 'state' | 'settings';

export interface Leak {
  line: number;
  what: string;
}

/** Keys and passwords of tests. They are like nothing else, so that a find is never by chance. */
const SECRETS = /test-key|planted-(?:key|password|sasl)[-\w]*|not-the-planted-key/;
/** Also with its @ as %40; `name@1.2.3` of a package is none. */
const ADDRESS = /[\w.+'"\x80-\xff-]+(?:@|%40)[a-z\d-]+(?:\.[a-z\d-]+)*\.[a-z]{2,}/i;
const LINE_CHARS_MAX = 1_000_000;
/** Folders that test/support/program.ts makes for the programs it starts. */
const OF_PROGRAMS = /^iterable-sync-/;

/** Of a line of the log file; what is not such a line counts as shown to people. */
const isBelowInfo = (line: string): boolean => /^\{"level":"(debug|trace)",/.test(line);

/** Every line of `text` that holds what a file of this kind must not. */
export function leaksIn(text: string, kind: FileKind): Leak[] {
  const leaks: Leak[] = [];
  // Colours of a terminal could stand in the middle of a word.
  // oxlint-disable-next-line no-control-regex
  const plain = text.replace(/\u001B\[[\d;]*m/g, '');
  for (const [index, whole] of plain.split('\n').entries()) {
    const line = whole.slice(0, LINE_CHARS_MAX);
    if (kind !== 'settings' && SECRETS.test(line))
      leaks.push({ line: index + 1, what: 'a planted key or password' });
    const mayNameUsers = kind === 'state' || (kind === 'log' && isBelowInfo(line));
    if (!mayNameUsers && ADDRESS.test(line)) {
      leaks.push({ line: index + 1, what: 'an e-mail address' });
    }
  }
  return leaks;
}

/** Results files may name addresses; so may nothing else that is not the log. */
export function kindOf(path: string): FileKind {
  const name = basename(path);
  if (/\.log(\.|$)/.test(name) || /^\d.*\.log/.test(name)) return 'log';
  if (name === '.env') return 'settings';
  return /^(integration_results_.*\.json|topics\.db.*|.*\.lock)$/.test(name) ? 'state' : 'output';
}

/** The files that programs under test left in `folder`. */
function filesOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => OF_PROGRAMS.test(name))
    .flatMap((name) => {
      const entries = readdirSync(join(folder, name), { recursive: true, withFileTypes: true });
      return entries.flatMap((entry) =>
        entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
      );
    });
}

function main(args: readonly string[]): void {
  const files: { path: string; kind: FileKind }[] = [];
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--tree') {
      i += 1;
      files.push(...filesOf(args[i] ?? '').map((path) => ({ path, kind: kindOf(path) })));
    } else files.push({ path: args[i] ?? '', kind: 'output' });
  }
  let found = 0;
  for (const { path, kind } of files) {
    for (const { line, what } of leaksIn(readFileSync(path, 'latin1'), kind)) {
      process.stdout.write(`${path}:${line}: ${what}\n`);
      found += 1;
    }
  }
  process.stdout.write(`${files.length} files looked at, ${found} leaks\n`);
  // Nothing looked at is no proof of anything.
  if (found > 0 || files.length === 0) process.exitCode = 1;
}

if (import.meta.main) main(process.argv.slice(2));

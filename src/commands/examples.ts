import type { Command } from 'commander';

/** A command line after `iterable-sync`, and what it is for. */
type Example = readonly [line: string, purpose: string];

/** By the command's names, separated by blanks; the program itself has the empty name. */
const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  '': [
    ['doctor', 'is everything in place?'],
    ['run', 'capture and deliver, until stopped'],
    ['backfill --dry-run', 'what would be sent to everyone'],
    ['replay --help', 'the options of one command'],
  ],
  run: [
    ['run', 'topics in a file under STATE_DIR'],
    ['--config config/kafka.json run', 'settings from a JSON file'],
  ],
  capture: [['capture', 'with KAFKA_BROKERS in .env or the environment']],
  deliver: [['deliver', 'start it several times to share the work']],
  backfill: [
    ['backfill --dry-run --limit 5', 'the first five users'],
    ['backfill --bulk', 'send everyone, 1000 users a call'],
    ['backfill --resume', 'go on where it stopped'],
    ['backfill --rate-share 0.5', 'leave half to a live stream'],
  ],
  replay: [
    ['replay --from 2026-01-13T14:00:00Z', 'everything since then'],
    ['replay --from 2026-01-13 --to 2026-01-14', 'one day, in UTC'],
    ['replay --from-offset 0:1200 --dry-run', 'partition 0 from there'],
  ],
  'dead-letters': [
    ['dead-letters list', 'what was refused, and why'],
    ['dead-letters retry --all', 'send all of it again'],
  ],
  'dead-letters list': [
    ['dead-letters list', 'a table'],
    ['dead-letters list --json', 'a line of JSON each'],
  ],
  'dead-letters retry': [
    ['dead-letters retry page-view-123', 'one of them'],
    ['dead-letters retry --all', 'all of them'],
  ],
  'dead-letters discard': [
    ['dead-letters discard page-view-123', 'one of them'],
    ['dead-letters discard --all', 'all of them'],
  ],
  init: [
    ['init', 'asks, tries and writes .env'],
    ['init --set DB_HOST=db', 'one answer given before'],
  ],
  doctor: [
    ['doctor', 'a line a check, with what to do'],
    ['doctor --json', 'for programs'],
  ],
  'setup-db': [
    ['setup-db', 'create DB_NAME, its tables and seed data'],
    ['setup-db --reset', 'begin again with the seed data'],
  ],
  simulator: [
    ['simulator', 'http://127.0.0.1:8080, any key'],
    ['simulator --port 0 --key test', 'any free port, one key'],
  ],
};

function text(examples: readonly Example[]): string {
  const lines = examples.map(([line]) => `  iterable-sync ${line}`);
  const column = Math.max(...lines.map((line) => line.length)) + 2;
  return [
    '\nExamples:',
    ...examples.map(([, purpose], i) => `${(lines[i] ?? '').padEnd(column)}${purpose}`),
  ].join('\n');
}

/** Adds the examples to the help of a command and of those below it. */
export function addExamples(command: Command, name = ''): void {
  const examples = EXAMPLES[name];
  if (examples !== undefined) command.addHelpText('after', text(examples));
  if (name !== '') command.addHelpText('after', '\nSettings: iterable-sync --help');
  for (const child of command.commands) addExamples(child, `${name} ${child.name()}`.trim());
}

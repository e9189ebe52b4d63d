import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { buildProgram } from './commands/program.ts';
import { exitCodeOf } from './commands/context.ts';
import { quietKnownWarnings } from './commands/warnings.ts';
import { keepClockSteady } from './steady-clock.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

quietKnownWarnings(process);
keepClockSteady();
// `iterable-sync backfill --dry-run | head`: whoever read has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});
try {
  const exit = { code: 0 };
  await buildProgram(version, exit).parseAsync();
  process.exitCode = exit.code;
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version are what was asked for; everything else of Commander's is wrong use.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
// Everything is closed by now. A handle that a library forgot must not keep the process: the timer
// is unreferenced, so it fires only where something else still holds the event loop.
setTimeout(() => process.exit(), 2_000).unref();

import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { buildProgram } from './commands/program.ts';
import { isJsonConsole } from './commands/console-format.ts';
import { exitCodeOf } from './commands/context.ts';
import { UsageError } from './errors.ts';
import { jsonLine } from './observe/json-line.ts';
import { oneLine, plainLines } from './plain-text.ts';
import { quietKnownWarnings } from './commands/warnings.ts';
import { keepClockSteady } from './steady-clock.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

// Whatever is made here is the owner's alone, also by libraries: state, locks, results and logs.
process.umask(0o077);
const exit = { code: 0 };
const program = buildProgram(version, exit);
const isJson = (): boolean => isJsonConsole(program.opts<{ config?: string }>().config ?? null);
quietKnownWarnings(process, ({ name, message }) => {
  if (!isJson()) return false;
  process.stderr.write(jsonLine('warn', `${name}: ${message}`));
  return true;
});
keepClockSteady();
// `iterable-sync backfill --dry-run | head`: whoever read has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});
// A container's first process ignores a signal that nobody listens to; every other one ends of it.
if (process.pid === 1) {
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(name, () => process.listenerCount(name) === 1 && process.exit(code));
  }
}
try {
  await program.parseAsync();
  process.exitCode = exit.code;
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version are what was asked for; everything else of Commander's is wrong use.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    const message = error instanceof Error ? error.message : String(error);
    // A usage error names several settings, a line each; any other is one sentence.
    const plain = error instanceof UsageError ? plainLines(message) : oneLine(message);
    process.stderr.write(isJson() ? jsonLine('error', plain) : `error: ${plain}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
// Everything is closed by now. A handle that a library forgot must not keep the process: the timer
// is unreferenced, so it fires only where something else still holds the event loop.
setTimeout(() => process.exit(), 2_000).unref();

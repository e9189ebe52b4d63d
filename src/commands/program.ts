import { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { jsonLine } from '../observe/json-line.ts';
import { HELP_COLUMNS, settingsHelp } from '../settings/help.ts';
import { isJsonConsole } from './console-format.ts';
import { type CommandContext, type CommandOptions, runCommand } from './context.ts';
import { addExamples } from './examples.ts';
import {
  type PartitionOffset,
  append,
  isoTime,
  partitionOffset,
  port,
  positiveInteger,
  share,
} from './option-values.ts';
import { STOPPED_EXIT_CODE } from './shutdown.ts';

type Body = (context: CommandContext) => Promise<number>;

// A command's modules, and the libraries that it alone needs, are loaded when it is run.

/** Where an action leaves its exit code. */
export interface Exit {
  code: number;
}

const NEEDS_KAFKA = {
  KAFKA_BROKERS: 'without Kafka, the command run captures and delivers in one process',
};
const RATE_SHARE =
  'part of the rate limits to use, above 0 and at most 1; less beside a live stream';

/** The command line. Commander's own errors are thrown, so that main decides the exit code. */
export function buildProgram(version: string, exit: Exit): Command {
  const program = new Command('iterable-sync')
    .description(
      'Keeps Iterable in step with MySQL: pro customers who viewed pricing or settings in the last seven days.',
    )
    .version(version)
    .option('--config <file>', 'JSON file with settings (environment and .env come first)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      getOutHelpWidth: () => Math.min(process.stdout.columns ?? HELP_COLUMNS, HELP_COLUMNS),
      getErrHelpWidth: () => Math.min(process.stderr.columns ?? HELP_COLUMNS, HELP_COLUMNS),
    })
    .exitOverride();
  let command = '';
  program.hook('preAction', (_program, action) => {
    command = topName(action);
  });
  program.configureOutput({
    outputError: (text, write) => {
      const { config } = program.opts<{ config?: string }>();
      write(isJsonConsole(config ?? null) ? jsonLine('error', plainError(text)) : text);
    },
  });
  const run: Run = async (options, body) => {
    const { config } = program.opts<{ config?: string }>();
    exit.code = await runCommand({ ...options, version, command, config: config ?? null }, body);
  };
  addStreamCommands(program, run);
  addBatchCommands(program, run);
  addDeadLetters(program, run);
  addTools(program, run, exit);
  for (const command of program.commands) inheritExit(command);
  addExamples(program);
  program.addHelpText('after', () => `\n${settingsHelp()}`);
  return program;
}

type Run = (
  options: Omit<CommandOptions, 'command' | 'config' | 'version'>,
  body: Body,
) => Promise<void>;

/** `dead-letters` for `dead-letters list`. */
function topName(command: Command): string {
  const { parent } = command;
  return parent === null || parent.parent === null ? command.name() : topName(parent);
}

/** Commander's text for people, as one sentence. */
function plainError(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ');
}

function inheritExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) inheritExit(child);
}

function addStreamCommands(program: Command, run: Run): void {
  program
    .command('run')
    .description('capture and deliver in one process, until stopped')
    .action(() =>
      run({ need: 'all' }, async (context) =>
        (await import('./run.ts')).runStream(context, { capture: true, deliver: true }),
      ),
    );
  program
    .command('capture')
    .description('binlog → topic only; several may run, one is active')
    .action(() =>
      run({ need: 'all', alsoNeeds: NEEDS_KAFKA }, async (context) =>
        (await import('./run.ts')).runStream(context, { capture: true, deliver: false }),
      ),
    );
  program
    .command('deliver')
    .description('topic → rule → Iterable only; several may run and share the work')
    .action(() =>
      run({ need: 'all' }, async (context) =>
        (await import('./run.ts')).runStream(context, { capture: false, deliver: true }),
      ),
    );
}

function addBatchCommands(program: Command, run: Run): void {
  program
    .command('backfill')
    .description("send everyone the rule's query finds, once")
    .option('--dry-run', 'print what would be sent, a line of JSON a user; send nothing')
    .option('--bulk', 'use users/bulkUpdate and events/trackBulk')
    .option('--resume', 'go on where the last one stopped')
    .option('--limit <n>', 'at most so many users', positiveInteger)
    .option('--rate-share <share>', RATE_SHARE, share, 1)
    .action((options: BackfillFlags) =>
      run({ need: 'all', stoppedExitCode: STOPPED_EXIT_CODE }, async (context) =>
        (await import('./backfill.ts')).backfill(context, {
          dryRun: options.dryRun === true,
          bulk: options.bulk === true,
          resume: options.resume === true,
          limit: options.limit ?? null,
          rateShare: options.rateShare,
        }),
      ),
    );
  program
    .command('replay')
    .description('deliver part of the topic again')
    .option('--from <time>', 'from this ISO time on (UTC where it names no offset)', isoTime)
    .option('--from-offset <p:o>', 'from this PARTITION:OFFSET on; repeatable', partitionOffset)
    .option('--to <time>', 'up to this ISO time; the end as it is now when left out', isoTime)
    .option('--dry-run', 'print what would be sent, a line of JSON a user; send nothing')
    .option('--rate-share <share>', RATE_SHARE, share, 1)
    .action((options: ReplayFlags) => {
      if ((options.from === undefined) === (options.fromOffset === undefined)) {
        throw new UsageError('replay: say either --from TIME or --from-offset PARTITION:OFFSET');
      }
      return run({ need: 'all', stoppedExitCode: STOPPED_EXIT_CODE }, async (context) =>
        (await import('./replay.ts')).replay(context, {
          fromMs: options.from ?? null,
          fromOffsets: options.fromOffset ?? [],
          toMs: options.to ?? null,
          dryRun: options.dryRun === true,
          rateShare: options.rateShare,
        }),
      );
    });
}

interface BackfillFlags {
  dryRun?: true;
  bulk?: true;
  resume?: true;
  limit?: number;
  rateShare: number;
}

interface ReplayFlags {
  from?: number;
  fromOffset?: PartitionOffset[];
  to?: number;
  dryRun?: true;
  rateShare: number;
}

function addDeadLetters(program: Command, run: Run): void {
  const letters = program
    .command('dead-letters')
    .description('the deliveries that Iterable refused for good');
  letters
    .command('list')
    .description('print id, user, time and reason of each')
    .option('--json', 'a line of JSON each')
    .action((options: { json?: true }) =>
      run({ need: 'all' }, async (context) =>
        (await import('./dead-letters.ts')).listDeadLetters(context, options.json === true),
      ),
    );
  letters
    .command('retry')
    .description('look at their users again, and send what the rule says of them now')
    .argument('[ids...]', 'ids as list prints them')
    .option('--all', 'all of them')
    .option('--rate-share <share>', RATE_SHARE, share, 1)
    .action((ids: string[], options: { all?: true; rateShare: number }) =>
      run({ need: 'all' }, async (context) =>
        (await import('./dead-letters.ts')).retryDeadLetters(
          context,
          { ids, all: options.all === true },
          options.rateShare,
        ),
      ),
    );
  letters
    .command('discard')
    .description('forget them')
    .argument('[ids...]', 'ids as list prints them')
    .option('--all', 'all of them')
    .action((ids: string[], options: { all?: true }) =>
      run({ need: 'all' }, async (context) =>
        (await import('./dead-letters.ts')).discardDeadLetters(context, {
          ids,
          all: options.all === true,
        }),
      ),
    );
}

function addTools(program: Command, run: Run, exit: Exit): void {
  program
    .command('init')
    .description('ask for the settings, try them, write .env, and print the SQL still needed')
    .option('--set <name=value>', 'a setting, in place of the question; repeatable', append)
    .option('--force', 'replace the .env that is there')
    .action(async (options: { set?: string[]; force?: true }) => {
      const { init } = await import('./init/init.ts');
      exit.code = await init({ sets: options.set ?? [], force: options.force === true });
    });
  program
    .command('doctor')
    .description('check settings, database, topics and Iterable; changes nothing')
    .option('--json', 'print the checks as JSON')
    .action(async (options: { json?: true }) => {
      const { config } = program.opts<{ config?: string }>();
      const { doctor } = await import('./doctor.ts');
      exit.code = await doctor({ json: options.json === true, config: config ?? null });
    });
  program
    .command('setup-db')
    .description('create the database, its tables and seed data')
    .option('--reset', 'drop the two tables first, with all that is in them')
    .action((options: { reset?: true }) =>
      run({ need: 'database' }, async (context) =>
        (await import('./setup-db.ts')).setupDatabase(context, options.reset === true),
      ),
    );
  program
    .command('simulator')
    .description("a local server with Iterable's endpoints, to try everything without an account")
    .option('--port <port>', 'port on HTTP_HOST; 0 for any free one', port, 8080)
    .option('--key <key>', 'accept this API key only (default: any)')
    .action((options: { port: number; key?: string }) =>
      run({ need: 'none' }, async (context) =>
        (await import('./simulator.ts')).simulator(context, {
          port: options.port,
          key: options.key ?? null,
        }),
      ),
    );
}

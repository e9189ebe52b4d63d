import { Argument, Command, CommanderError, InvalidArgumentError } from 'commander';

export interface BenchArguments {
  /** Empty: those that are measured where none is named. */
  parts: readonly string[];
  quick: boolean;
  /** How often each part is measured; null: as the part has it. */
  rounds: number | null;
  /** Where the figures go, too. */
  json: string | null;
  renew: boolean;
}

/** By the name of a part, what it measures. */
export type PartHelp = Readonly<Record<string, string>>;

const USAGE = 2;

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (Number.isSafeInteger(rounds) && rounds >= 1) return rounds;
  throw new InvalidArgumentError('It is a whole number from 1 on.');
}

/**
 * What was asked for. A number: it has been answered (help) or refused on the console, and this is
 * the exit code.
 */
export function parseArguments(argv: readonly string[], parts: PartHelp): BenchArguments | number {
  const names = Object.keys(parts);
  const width = Math.max(...names.map((name) => name.length));
  const list = Object.entries(parts).map(([name, what]) => `  ${name.padEnd(width)}  ${what}`);
  const command = new Command('npm run bench --')
    .description('Measures the program on real servers of this machine and prints a table.')
    .addArgument(new Argument('[parts...]', 'what is measured (see below)').choices(names))
    .option('--quick', 'small sizes, no bars: whether all of it works')
    .option('--rounds <n>', 'measure each part so often; the medians are shown', roundsOf)
    .option('--json <file>', 'write the figures there too; others that it holds stay')
    .option('--renew', "make this machine's ratios those that guard compares with")
    .addHelpText('after', `\nParts (without a name: those marked *):\n${list.join('\n')}`)
    .exitOverride();
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    throw error;
  }
  const { quick, rounds, json, renew } = command.opts<{
    quick?: true;
    rounds?: number;
    json?: string;
    renew?: true;
  }>();
  const chosen = command.processedArgs[0] as string[] | undefined;
  return {
    parts: chosen ?? [],
    quick: quick === true,
    rounds: rounds ?? null,
    json: json ?? null,
    renew: renew === true,
  };
}

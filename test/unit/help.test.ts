import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/commands/program.ts';

function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

/** What `--help` prints. */
async function helpOf(name: readonly string[]): Promise<string> {
  const program = buildProgram('1.2.3', { code: 0 });
  let text = '';
  for (const command of commandsOf(program)) {
    command.configureOutput({ writeOut: (part) => (text += part) });
  }
  await program.parseAsync([...name, '--help'], { from: 'user' }).catch(() => undefined);
  return text;
}

function namesOf(command: Command): string[] {
  return command.parent === null ? [] : [...namesOf(command.parent), command.name()];
}

const NAMES = commandsOf(buildProgram('1.2.3', { code: 0 })).map(namesOf);

describe('--help', () => {
  it.each(NAMES.map((name) => [['iterable-sync', ...name].join(' '), name] as const))(
    'of %s has examples, and keeps to 80 columns',
    async (title, name) => {
      const text = await helpOf(name);
      expect(text).toContain(`Usage: ${title}`);
      expect(text).toContain(`\nExamples:\n  iterable-sync`);
      expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    },
  );

  it('of the program has every setting, with its default', async () => {
    const text = await helpOf([]);
    expect(text).toMatch(/\n {2}DB_HOST +MySQL or MariaDB host\. \[required\]\n/);
    expect(text).toMatch(/\n {2}ITERABLE_API_KEY_FILE +File that holds ITERABLE_API_KEY/);
  });
});

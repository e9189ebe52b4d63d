import { SETTINGS_TABLE, type SettingRow } from './table.ts';

const ROWS: readonly SettingRow[] = SETTINGS_TABLE;

function defaultText(row: SettingRow): string {
  if (row.required === true) return 'required';
  return row.default === null ? 'not set' : row.default;
}

/** What a terminal is sure to have. */
export const HELP_COLUMNS = 80;
const INDENT = 2;

/** Lines of at most `width` characters, broken between words. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** The settings, for the end of `--help`, in HELP_COLUMNS. */
export function settingsHelp(): string {
  const column = INDENT + Math.max(...ROWS.map((row) => row.name.length)) + INDENT;
  const lines = ROWS.flatMap((row) =>
    wrapped(`${row.meaning} [${defaultText(row)}]`, HELP_COLUMNS - column).map(
      (line, i) => `${' '.repeat(INDENT)}${i === 0 ? row.name : ''}`.padEnd(column) + line,
    ),
  );
  return ['Settings (environment, .env, or the file given with --config):', ...lines].join('\n');
}

/** `.env.example`. */
export function envExample(): string {
  const lines: string[] = [
    '# Copy to .env, or let iterable-sync init write it. What is commented out has the value shown.',
  ];
  let group = '';
  for (const row of ROWS) {
    if (row.group !== group) lines.push('', `# ${row.group}`);
    group = row.group;
    lines.push(`# ${row.meaning}`);
    lines.push(row.required === true ? `${row.name}=` : `# ${row.name}=${row.default ?? ''}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The README's table. */
export function settingsMarkdown(): string {
  const lines = ROWS.map((row) => {
    const shown =
      row.required === true || row.default === null ? defaultText(row) : `\`${row.default}\``;
    return `| \`${row.name}\` | ${shown} | ${row.meaning} |`;
  });
  return ['| Setting | Default | Meaning |', '| --- | --- | --- |', ...lines].join('\n');
}

/** `config/default.json`: every setting that has a default, as a file to start from. */
export function defaultProfile(): string {
  const entries = ROWS.flatMap((row) => (row.default === null ? [] : [[row.name, row.default]]));
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

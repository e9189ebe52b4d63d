import { SETTINGS_TABLE, type SettingRow } from './table.ts';

const ROWS: readonly SettingRow[] = SETTINGS_TABLE;

function defaultText(row: SettingRow): string {
  if (row.required === true) return 'required';
  return row.default === null ? 'not set' : row.default;
}

/** The settings, for the end of `--help`. */
export function settingsHelp(): string {
  const width = Math.max(...ROWS.map((row) => row.name.length));
  const lines = ROWS.map(
    (row) => `  ${row.name.padEnd(width)}  ${row.meaning} [${defaultText(row)}]`,
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

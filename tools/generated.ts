/**
 * Writes what comes from the tables of settings and columns: `.env.example`, `config/default.json`
 * and the README's tables. With `--check` it changes nothing and exits 1 where one is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { columnsMarkdown } from '../src/model/columns.ts';
import { defaultProfile, envExample, settingsMarkdown } from '../src/settings/help.ts';

const TABLES = { settings: settingsMarkdown, columns: columnsMarkdown };

function withTables(readme: string): string {
  let text = readme;
  for (const [name, table] of Object.entries(TABLES)) {
    const begin = `<!-- ${name}: written by npm run generate -->`;
    const end = `<!-- end of ${name} -->`;
    const beginAt = text.indexOf(begin);
    const endAt = text.indexOf(end);
    if (beginAt < 0 || endAt < beginAt) throw new Error(`README.md lacks ${begin} … ${end}`);
    text = `${text.slice(0, beginAt + begin.length)}\n\n${table()}\n\n${text.slice(endAt)}`;
  }
  return text;
}

const files = [
  { path: '.env.example', content: () => envExample() },
  { path: 'config/default.json', content: () => defaultProfile() },
  { path: 'README.md', content: (now: string) => withTables(now) },
];
const isCheck = process.argv.includes('--check');
for (const { path, content } of files) {
  let now = '';
  try {
    now = readFileSync(path, 'utf8');
  } catch {
    // A file that is missing is not current.
  }
  const wanted = content(now);
  if (wanted === now) continue;
  if (isCheck) {
    process.stderr.write(`${path} is not current: npm run generate\n`);
    process.exitCode = 1;
  } else writeFileSync(path, wanted);
}

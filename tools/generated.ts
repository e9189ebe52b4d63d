/**
 * Writes what comes from the table of settings: `.env.example`, `config/default.json` and the README's table. With
 * `--check` it changes nothing and exits 1 where one of them is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { defaultProfile, envExample, settingsMarkdown } from '../src/settings/help.ts';

const BEGIN = '<!-- settings: written by npm run generate -->';
const END = '<!-- end of settings -->';

function withTable(readme: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`README.md lacks ${BEGIN} … ${END}`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${settingsMarkdown()}\n\n${readme.slice(end)}`;
}

const files = [
  { path: '.env.example', content: () => envExample() },
  { path: 'config/default.json', content: () => defaultProfile() },
  { path: 'README.md', content: (now: string) => withTable(now) },
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

/**
 * Writes what comes from tables in the code: `.env.example`, `config/default.json`, and the tables of
 * README.md and docs/. With `--check` it changes nothing and exits 1 where one is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { Registry } from 'prom-client';
import { columnsMarkdown } from '../src/model/columns.ts';
import { PREFIX, metricsMarkdown } from '../src/observe/metrics-table.ts';
import { addProcessMetrics } from '../src/observe/metrics.ts';
import { defaultProfile, envExample, settingsMarkdown } from '../src/settings/help.ts';

/** `text` with each table in its place, between its two comments. */
function withTables(path: string, text: string, tables: Record<string, string | null>): string {
  let all = text;
  for (const [name, table] of Object.entries(tables)) {
    const begin = `<!-- ${name}: written by npm run generate -->`;
    const end = `<!-- end of ${name} -->`;
    const beginAt = all.indexOf(begin);
    const endAt = all.indexOf(end);
    if (beginAt < 0 || endAt < beginAt) throw new Error(`${path} lacks ${begin} … ${end}`);
    if (table === null) continue;
    all = `${all.slice(0, beginAt + begin.length)}\n\n${table}\n\n${all.slice(endAt)}`;
  }
  return all;
}

/** What Node tells of the process; null elsewhere than on Linux, which has the most of it. */
async function processMetricsMarkdown(): Promise<string | null> {
  if (process.platform !== 'linux') return null;
  const registry = new Registry();
  addProcessMetrics(registry, '');
  const all = await registry.getMetricsAsJSON();
  const lines = all
    .filter(({ name }) => !name.startsWith(PREFIX))
    .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`);
  return ['| Metric | Type | Meaning |', '| --- | --- | --- |', ...lines].join('\n');
}

async function pretty(path: string, text: string): Promise<string> {
  return await format(text, { ...(await resolveConfig(path)), filepath: path });
}

const METRICS = 'docs/metrics.md';
const files: { path: string; content: (now: string) => string | Promise<string> }[] = [
  { path: '.env.example', content: () => envExample() },
  { path: 'config/default.json', content: () => defaultProfile() },
  {
    path: 'README.md',
    content: (now) =>
      withTables('README.md', now, { settings: settingsMarkdown(), columns: columnsMarkdown() }),
  },
  {
    path: METRICS,
    content: async (now) => {
      const process = await processMetricsMarkdown();
      return await pretty(
        METRICS,
        withTables(METRICS, now, { metrics: metricsMarkdown(), process }),
      );
    },
  },
];
const isCheck = process.argv.includes('--check');
for (const { path, content } of files) {
  let now = '';
  try {
    now = readFileSync(path, 'utf8');
  } catch {
    // A file that is missing is not current.
  }
  const wanted = await content(now);
  if (wanted === now) continue;
  if (isCheck) {
    process.stderr.write(`${path} is not current: npm run generate\n`);
    process.exitCode = 1;
  } else writeFileSync(path, wanted);
}

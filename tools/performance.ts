/**
 * Writes docs/performance.md, docs/scaling.md and their charts from docs/performance.json, which
 * `npm run bench -- … --json` writes. With `--check` it changes nothing and exits 1 where one of them
 * is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { readReport } from '../bench/report.ts';
import { growthChart, ratesChart } from './performance/charts.ts';
import { Measured } from './performance/measured.ts';
import { performancePage } from './performance/page.ts';
import { scalingPage } from './performance/scaling.ts';

const DOCS = new URL('../docs/', import.meta.url);

const measured = new Measured(readReport(readFileSync(new URL('performance.json', DOCS), 'utf8')));
const programs = [
  { id: 'iterable-sync', title: 'iterable-sync' },
  ...Object.entries(measured.report.peers).map(([id, title]) => ({ id, title })),
];
const markdown = async (text: string): Promise<string> =>
  await format(text, { parser: 'markdown', printWidth: 100, proseWrap: 'always' });
const files = {
  'performance.md': await markdown(performancePage(measured, programs)),
  'scaling.md': await markdown(scalingPage(measured)),
  'performance-rates.svg': ratesChart(measured, programs),
  'performance-growth.svg': growthChart(measured),
};
const isCheck = process.argv.includes('--check');
for (const [name, content] of Object.entries(files)) {
  const path = new URL(name, DOCS);
  let now = '';
  try {
    now = readFileSync(path, 'utf8');
  } catch {
    // A file that is missing is not current.
  }
  if (now === content) continue;
  if (isCheck) {
    process.stderr.write(`docs/${name} is not current: npm run performance\n`);
    process.exitCode = 1;
  } else writeFileSync(path, content);
}

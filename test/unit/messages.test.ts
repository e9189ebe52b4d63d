import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { saidIn } from '../../tools/messages.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

it('docs/messages.md has every sentence of the code at WARN and above, and no other', () => {
  const page = readFileSync(`${ROOT}docs/messages.md`, 'utf8');
  const documented = [...page.matchAll(/^\| `(.+?)` +\|/gm)].map(([, text = '']) => text);
  const { messages, elsewhere } = saidIn(`${ROOT}src`);
  const said = messages.map(({ text }) => text);
  expect(said.length).toBeGreaterThan(100);
  // Reasons of dead letters and of outages, what is odd about a replay's span, misspelt settings.
  expect(elsewhere.toSorted()).toEqual([
    'letter.reason',
    'letter.reason',
    'letter.reason',
    'outage.reason',
    'reason',
    'sentence',
    'sentence',
  ]);
  expect(documented.toSorted()).toEqual(said.toSorted());
});

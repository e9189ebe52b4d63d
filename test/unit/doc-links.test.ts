import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const documents = [ROOT, new URL('docs/', ROOT)].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => new URL(name, folder)),
);

describe('the documents', () => {
  it.each(documents.map((url) => url.pathname.slice(ROOT.pathname.length)))(
    '%s links to files that are there',
    (name) => {
      const url = new URL(name, ROOT);
      const targets = [...readFileSync(url, 'utf8').matchAll(/\]\(([^)#\s]+)/g)]
        .map(([, target]) => target ?? '')
        .filter((target) => !/^[a-z]+:/.test(target));
      const missing = targets.filter((target) => !existsSync(new URL(target, url)));
      expect(missing).toEqual([]);
    },
  );
});

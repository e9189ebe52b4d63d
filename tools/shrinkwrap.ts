/**
 * Writes `npm-shrinkwrap.json` for the package: the lock file without what only a checkout needs, so
 * that an install of the tarball has the versions that were tested. With `--remove` it goes away
 * again, since npm would prefer it to the lock file.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { packageLock } from './package-lock.ts';

const SHRINKWRAP = 'npm-shrinkwrap.json';

if (process.argv.includes('--remove')) rmSync(SHRINKWRAP, { force: true });
else {
  const lock = packageLock(readFileSync('package-lock.json', 'utf8'));
  writeFileSync(SHRINKWRAP, `${JSON.stringify(lock, null, 2)}\n`);
}

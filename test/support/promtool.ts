import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import { prepared, servicesDir } from '../../tools/services/cache.ts';
import { run, which } from '../../tools/services/commands.ts';

const say = (line: string): void => void process.stderr.write(`promtool: ${line}\n`);

/**
 * The path of Prometheus' promtool: the one on the PATH, or out of Debian's package, which is
 * unpacked into the cache and not installed.
 * @throws UnavailableError where neither can be had.
 */
async function promtool(): Promise<string> {
  const installed = which('promtool');
  if (installed !== null) return installed;
  if (which('apt-get') === null || which('dpkg-deb') === null) {
    throw new UnavailableError('promtool is not on the PATH: install Prometheus');
  }
  const folder = await prepared(servicesDir(), 'promtool', say, async (into) => {
    say('fetching the package prometheus (19 MB)');
    const options = ['-q', '-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300'];
    const download = (): Promise<string> =>
      run('apt-get', [...options, 'download', 'prometheus'], { cwd: into });
    await download().catch(async () => {
      await run('apt-get', [...options, 'update']);
      await download();
    });
    const file = readdirSync(into).find((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['-x', join(into, file ?? ''), into]);
  });
  return join(folder, 'usr/bin/promtool');
}

/** What `promtool check metrics` says of a page of metrics; empty where it has no complaint. */
export async function complaints(metrics: string): Promise<string> {
  const program = await promtool();
  const { status, stdout, stderr, error } = spawnSync(program, ['check', 'metrics'], {
    input: metrics,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  const said = `${stdout}${stderr}`.trim();
  return status === 0 || said !== '' ? said : `exit code ${status}`;
}

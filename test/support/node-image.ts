import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run, which } from '../../tools/services/commands.ts';

const PROGRAMS = ['sh', 'env', 'mkdir', 'chmod', 'chown', 'rm', 'cp', 'ls', 'cat'];
const MODULES = new URL('../../node_modules', import.meta.url).pathname;

/** What `npm` does in the build, without a network: the modules are in the image. */
const NPM = `#!/bin/sh
case "$1 $2" in
  "ci ") cp -a /opt/node_modules . ;;
  "run build") rm -rf dist && node node_modules/typescript/bin/tsc -p tsconfig.build.json ;;
  "prune --omit=dev") rm -rf node_modules/typescript node_modules/@typescript ;;
  *) echo "not expected here: npm $*" >&2; exit 1 ;;
esac
`;
/** Needed neither to build nor to run. */
const LEFT_OUT = [
  '.bin',
  'node',
  '@oxlint',
  '@oxlint-tsgolint',
  '@rolldown',
  'prettier',
  'knip',
  'zod',
  '@grpc',
  '*lightningcss*',
  '.vite*',
];

/** An image with this machine's Node, a shell and these modules, for machines that can pull none. */
export async function makeNodeImage(image: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'node-image-'));
  try {
    const programs = PROGRAMS.map((name) => which(name) ?? name);
    const libraries = await run('ldd', [process.execPath, ...programs]);
    const found = [...libraries.matchAll(/(\/[^\s:]+) \(0x/g)].map(([, path]) => path ?? '');
    for (const path of new Set([...programs, ...found])) {
      const target = join(folder, path);
      mkdirSync(dirname(target), { recursive: true });
      await run('cp', ['-L', path, target]);
      // The shell and env are asked for by these names.
      if (path.endsWith('/sh')) await run('cp', ['-L', '--parents', '/bin/sh', folder]);
    }
    for (const name of ['tmp', 'opt', 'usr/bin', 'usr/local/bin', 'etc'])
      mkdirSync(join(folder, name), { recursive: true });
    await run('cp', ['-L', realpathSync(process.execPath), join(folder, 'usr/local/bin/node')]);
    writeFileSync(join(folder, 'usr/local/bin/npm'), NPM, { mode: 0o755 });
    const script =
      'image=$1; shift; tar --create "$@" | docker import --change "ENV PATH=/usr/local/bin:/usr/bin:/bin" - "$image"';
    const modules = realpathSync(MODULES);
    const without = LEFT_OUT.map((name) => `--exclude=node_modules/${name}`);
    await run('bash', [
      '-c',
      `set -o pipefail; ${script}`,
      'import',
      image,
      ...without,
      '--transform=s,^node_modules,opt/node_modules,S',
      '-C',
      folder,
      '.',
      '-C',
      dirname(modules),
      'node_modules',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

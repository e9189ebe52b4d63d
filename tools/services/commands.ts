import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface CommandOptions {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** Written to its standard input. */
  input?: string;
  timeoutMs?: number;
}

const TIMEOUT_MS_DEFAULT = 600_000;
const ERROR_LINES_MAX = 15;

/**
 * Runs a program to its end and answers its standard output.
 * @throws Error with the command and the last lines it wrote, when it can't be run or ends with
 * anything but 0.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? TIMEOUT_MS_DEFAULT,
  });
  let output = '';
  let everything = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    everything += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (everything += text));
  // A program that ends without reading its input breaks the pipe; its exit code tells more.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('error', reject);
  child.once('close', (code, signal) => {
    if (code === 0) return resolve();
    const tail = everything.trimEnd().split('\n').slice(-ERROR_LINES_MAX).join('\n');
    reject(new Error(`\`${command} ${args.join(' ')}\` ended with ${code ?? signal}:\n${tail}`));
  });
  await promise;
  return output;
}

/** Whether it ends with 0; a program that isn't there answers false too. */
export async function succeeds(command: string, args: readonly string[], timeoutMs = 20_000) {
  return await run(command, args, { timeoutMs }).then(
    () => true,
    () => false,
  );
}

/** The whole path of a program on the PATH (or in the folders where Debian keeps servers), or null. */
export function which(program: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const folder of [...folders, '/usr/sbin', '/usr/local/sbin', '/sbin']) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not here.
    }
  }
  return null;
}

export const isRoot = (): boolean => process.getuid?.() === 0;

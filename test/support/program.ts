import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseSettings } from '../../src/settings/types.ts';
import { notOutlivingUs } from '../../tools/services/server-process.ts';

export const PROGRAM = new URL('../../bin/iterable-sync', import.meta.url).pathname;
/** The launcher takes the Node that is first on the PATH. */
const PATH = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
/** Halves the time to start. */
const COMPILE_CACHE = join(tmpdir(), 'compile-cache-of-tests');

const POLL_MS = 20;
const POLL_MS_MAX = 1_000;

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * The real program as a process of its own. Disposing kills it, and so does the end of this process:
 * a test that runs out of time disposes of nothing before its file ends.
 */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly ended: Promise<Ended>;
  hasEnded = false;
  stdout = '';
  stderr = '';

  /** `cwd`: a folder of its own where none is given. */
  constructor(args: readonly string[], env: Readonly<Record<string, string>>, cwd?: string) {
    const [command, ...rest] = notOutlivingUs([PROGRAM, ...args], 'KILL');
    this.#child = spawn(command, rest, {
      cwd: cwd ?? mkdtempSync(join(tmpdir(), 'iterable-sync-cwd-')),
      env: { PATH, NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // A letter of several bytes may come in two pieces.
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.hasEnded = true;
        resolve({ code, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The status server's address, once the log names it. */
  async url(): Promise<string> {
    let found: string | undefined;
    await this.#until('it says where its status is', () => {
      found = /status at (http:\/\/[^"\s]+)/.exec(this.stderr)?.[1];
      return Promise.resolve(found !== undefined);
    });
    return found ?? '';
  }

  /** Its address, once it is ready. */
  async ready(): Promise<string> {
    const url = await this.url();
    let said = '';
    await this.#until('it is ready', async () => {
      const answer = await fetch(`${url}/readyz`);
      said = await answer.text();
      return answer.status === 200;
    }).catch((error: unknown) => {
      throw new Error(`/readyz: ${said}`, { cause: error });
    });
    return url;
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    await until(`${what}, or ends`, async () => this.hasEnded || (await isSo())).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${this.stderr}`);
      },
    );
    if (this.hasEnded) throw new Error(`ended before ${what}\n${this.stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** Runs the program to its end. */
export async function runToEnd(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<Ended> {
  await using program = new Program(args, env, cwd);
  return await program.ended;
}

/**
 * Waits until `isSo` holds; rejects, naming what was waited for, after `timeoutMs`. Asking takes a
 * third of the time at most: what is waited for needs the processor too.
 */
export async function until(
  what: string,
  isSo: () => Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  let askedMs = performance.now();
  while (!(await isSo().catch(() => false))) {
    const nowMs = performance.now();
    if (nowMs > end) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await sleep(Math.min(Math.max(POLL_MS, 2 * (nowMs - askedMs)), POLL_MS_MAX));
    askedMs = performance.now();
  }
}

/** Settings of a pipeline of the test's own. */
export function environment(
  db: DatabaseSettings,
  iterableUrl: string,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'iterable-sync-'));
  return {
    DB_HOST: db.host,
    DB_PORT: String(db.port),
    DB_USER: db.user,
    DB_PASSWORD: db.password,
    DB_NAME: db.name,
    ITERABLE_API_KEY: 'test-key',
    ITERABLE_API_BASE_URL: iterableUrl,
    STATE_DIR: join(folder, 'state'),
    RESULTS_DIR: join(folder, 'results'),
    LOG_FILE: join(folder, 'log', 'program.log'),
    HTTP_PORT: '0',
    ...more,
  };
}

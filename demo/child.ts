import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { notOutlivingUs } from '../tools/services/server-process.ts';
import { NotSeenError } from './not-seen-error.ts';

const LINES_MAX = 500;
const POLL_MS = 10;
/** The program promises to stop within 10 s. */
const STOP_MS_MAX = 12_000;

export interface ChildOptions {
  /** What people call it, for messages. */
  name: string;
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Told each line as it comes, of either stream. */
  onLine?: (line: string) => void;
  /** What the kernel sends it when we die; SIGKILL otherwise. SIGTERM is for one with children. */
  deathSignal?: 'TERM' | 'KILL';
}

/**
 * A process of ours. It is in a group of its own, so that Ctrl-C is for the demo, which then stops
 * its processes in order; and it can't outlive the demo, however that ends (kill -9: on Linux).
 */
export class Child implements AsyncDisposable {
  readonly name: string;
  /** Its exit code, null where a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  readonly #lastResort: () => void;
  /** Standard output. */
  readonly printed: string[] = [];
  /** Standard error: the log. */
  readonly logged: string[] = [];
  #exit: { code: number | null } | null = null;

  constructor({ name, command, args, env, cwd, onLine, deathSignal = 'KILL' }: ChildOptions) {
    const [program, ...rest] = notOutlivingUs([command, ...args], deathSignal);
    this.name = name;
    const child = spawn(program, rest, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#process = child;
    this.#lastResort = () => void child.kill('SIGKILL');
    process.once('exit', this.#lastResort);
    collect(child.stdout, this.printed, onLine);
    collect(child.stderr, this.logged, onLine);
    const { promise, resolve } = Promise.withResolvers<number | null>();
    const gone = (code: number | null): void => {
      process.off('exit', this.#lastResort);
      this.#exit ??= { code };
      resolve(code);
    };
    child.once('error', (error) => {
      this.logged.push(error.message);
      gone(null);
    });
    child.once('close', gone);
    this.ended = promise;
  }

  /** How it ended, in a sentence; null while it runs. */
  get end(): string | null {
    if (this.#exit === null) return null;
    const { code } = this.#exit;
    return `${this.name} ended by itself${code === null ? ', killed by a signal' : ` with ${code}`}`;
  }

  /** @throws NotSeenError when it is not running any more. */
  assertRunning(): void {
    if (this.end !== null) throw new NotSeenError(this.end);
  }

  /** What `pattern` captures from the first line that has it, on either stream. */
  async line(pattern: RegExp, timeoutMs: number, signal: AbortSignal): Promise<string> {
    const until = performance.now() + timeoutMs;
    for (;;) {
      for (const line of [...this.printed, ...this.logged]) {
        const found = pattern.exec(line)?.[1];
        if (found !== undefined) return found;
      }
      this.assertRunning();
      if (performance.now() > until) {
        throw new NotSeenError(`${this.name} did not come up within ${timeoutMs / 1000} s`);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  /** The end of its log, one readable line each. */
  tail(lines: number): string {
    return this.logged.slice(-lines).map(readable).join('\n');
  }

  /** SIGTERM, and SIGKILL where that takes longer than it may. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exit !== null) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(this.#lastResort, STOP_MS_MAX);
    await this.ended;
    clearTimeout(timer);
  }
}

function collect(stream: Readable, lines: string[], onLine?: (line: string) => void): void {
  createInterface({ input: stream }).on('line', (line) => {
    if (lines.push(line) > LINES_MAX) lines.shift();
    onLine?.(line);
  });
}

/** A line of the JSON log as people read it; any other line as it is. */
function readable(line: string): string {
  try {
    const { time, msg, detail } = JSON.parse(line) as Record<string, unknown>;
    const more = typeof detail === 'string' ? ` (${detail})` : '';
    return `${String(time).slice(11, 23)} ${String(msg)}${more}`;
  } catch {
    return line;
  }
}

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { UnavailableError } from '../../src/errors.ts';
import { which } from './commands.ts';

export interface ServerCommand {
  /** What people call it, for messages. */
  name: string;
  command: string;
  args: readonly string[];
  cwd: string;
  /** Its output goes here; the last lines of it are part of the error when it doesn't start. */
  logFile: string;
  /** Resolves true once it serves. Called again and again until then. */
  answers: () => Promise<boolean>;
  /** What the kernel sends it when we die; SIGTERM otherwise, which a frozen process doesn't heed. */
  deathSignal?: 'KILL';
}

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
const POLL_MS = 30;
const LOG_LINES_MAX = 20;

/** The command that runs this one so that, on Linux, the kernel signals it when we die, however we do. */
export function notOutlivingUs(
  command: readonly [string, ...string[]],
  deathSignal: 'TERM' | 'KILL',
): readonly [string, ...string[]] {
  const setpriv = process.platform === 'linux' ? which('setpriv') : null;
  return setpriv === null ? command : [setpriv, '--pdeathsig', deathSignal, '--', ...command];
}

/**
 * One server program, started and stopped as often as one likes on the same data, until it is ended.
 * It can't outlive this process: on Linux the kernel sends it SIGTERM when we die, however we do.
 */
export class ServerProcess {
  readonly #command: ServerCommand;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #hasEnded = false;

  constructor(command: ServerCommand) {
    this.#command = command;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** @throws UnavailableError when it ends, or doesn't serve within a minute. */
  async start(): Promise<void> {
    const { name, answers } = this.#command;
    if (this.#hasEnded) throw new UnavailableError(`${name} is not started again: it was ended`);
    this.#launch();
    const until = Date.now() + START_MS_MAX;
    while (!(await answers())) {
      const gone = this.#child === null;
      if (gone || Date.now() > until) {
        await this.kill();
        const what = gone ? 'ended while starting' : `did not answer within ${START_MS_MAX} ms`;
        throw new UnavailableError(`${name} ${what}; its log ends:\n${await this.#logTail()}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** SIGTERM, and SIGKILL when that takes too long. Resolves once it is gone. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await this.#exited;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** Kills it for good: a start that is under way, or comes later, fails. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    await this.kill();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  #launch(): void {
    const { command, args, cwd, logFile, deathSignal = 'TERM' } = this.#command;
    const log = openSync(logFile, 'a');
    const [program, ...rest] = notOutlivingUs([command, ...args], deathSignal);
    // A group of its own: Ctrl-C in a terminal is for us, and we stop the servers in order.
    const child = spawn(program, rest, { cwd, stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    const { promise, resolve } = Promise.withResolvers<void>();
    const lastResort = () => void child.kill('SIGKILL');
    process.once('exit', lastResort);
    const gone = () => {
      process.off('exit', lastResort);
      if (this.#child === child) this.#child = null;
      resolve();
    };
    child.once('exit', gone).once('error', gone);
    this.#child = child;
    this.#exited = promise;
  }

  async #logTail(): Promise<string> {
    const text = await readFile(this.#command.logFile, 'utf8').catch(() => '(no log)');
    return text.trimEnd().split('\n').slice(-LOG_LINES_MAX).join('\n');
  }
}

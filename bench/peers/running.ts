import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { notOutlivingUs } from '../../tools/services/server-process.ts';
import type { PeerCommand } from './peer.ts';

const TICKS_PER_SECOND = 100;
const STOP_MS_MAX = 30_000;
const LOG_LINES_MAX = 15;

interface Stat {
  parent: number;
  /** Its own, and that of its children that have ended. */
  cpuSeconds: number;
}

/** By process id, what /proc says; Linux only. */
function allProcesses(): Map<number, Stat> {
  const found = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (Number.isNaN(pid)) continue;
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name, in brackets, may hold anything: what follows its end counts from the third field.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      found.set(pid, { parent: Number(fields[1]), cpuSeconds: ticks / TICKS_PER_SECOND });
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** User and system, of a process so far; null where there is none. */
export const cpuSecondsOfProcess = (pid: number): number | null =>
  allProcesses().get(pid)?.cpuSeconds ?? null;

/** A program under measurement, with all its children. */
export class Running implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #logFile: string;
  hasEnded = false;

  constructor({ command, env }: PeerCommand, folder: string) {
    this.#logFile = join(folder, 'output.log');
    const log = openSync(this.#logFile, 'a');
    const [program, ...args] = notOutlivingUs(command, 'KILL');
    this.#child = spawn(program, args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], JAVA_HOME: process.env['JAVA_HOME'], ...env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.hasEnded = true;
        resolve();
      };
      this.#child.once('close', end).once('error', end);
    });
  }

  #tree(all: ReadonlyMap<number, Stat>): number[] {
    const tree = [this.#child.pid ?? -1];
    for (const pid of tree) {
      for (const [other, { parent }] of all) if (parent === pid) tree.push(other);
    }
    return tree;
  }

  /** User and system, of the whole tree so far. */
  cpuSeconds(): number {
    const all = allProcesses();
    return this.#tree(all).reduce((sum, pid) => sum + (all.get(pid)?.cpuSeconds ?? 0), 0);
  }

  /** The highest resident memory so far, of every process of the tree, added up. */
  peakMegabytes(): number {
    return this.#tree(allProcesses()).reduce((sum, pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        return sum + Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
      } catch {
        return sum;
      }
    }, 0);
  }

  logTail(): string {
    return readFileSync(this.#logFile, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-LOG_LINES_MAX)
      .join('\n');
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS_MAX);
    await this.#ended;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

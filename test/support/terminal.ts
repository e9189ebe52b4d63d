import { type ChildProcess, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { PROGRAM, until } from './program.ts';

/** The program on a terminal of 80 columns (util-linux' `script` makes one). Disposing ends it. */
export class Terminal implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #seen = 0;
  #raw = '';

  constructor(args: readonly string[], cwd: string) {
    const command = `stty cols 80 rows 40; exec ${[PROGRAM, ...args].join(' ')}`;
    const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], {
      cwd,
      env: { PATH: path, TERM: 'xterm', SHELL: '/bin/sh' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#raw += text));
    this.#ended = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** All that was shown, without colours and movements. */
  get shown(): string {
    return stripVTControlCharacters(this.#raw);
  }

  /** Types `keys` once `what` is shown, after what was waited for last. */
  async answer(what: string, keys: string): Promise<void> {
    await until(`the terminal shows ${what}`, () =>
      Promise.resolve(this.shown.includes(what, this.#seen)),
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.shown}`);
    });
    this.#seen = this.shown.length;
    this.#child.stdin?.write(keys);
  }

  /** Its exit code. */
  end(): Promise<number | null> {
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

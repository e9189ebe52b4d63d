import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import type { Scene, Stage } from '../stage.ts';

const PAGES = ['home', 'home', 'blog', 'features', 'pricing', 'settings'];
const DEVICES = ['mobile', 'desktop', 'tablet'];
const BROWSERS = ['Chrome', 'Safari', 'Firefox', 'Edge', 'Samsung Internet'];
const LOCATIONS = ['Austin, TX', 'Portland, OR', 'Zürich', 'Boston, MA', 'São Paulo', 'Leeds'];
/** Commits meet in the server's group commit, so that a log of single rows is written in time. */
const WRITERS_OF_FEW = 16;
const WRITERS_OF_MANY = 4;
const LIVE_WRITERS = 8;

/** A whole number that looks random and follows from `n` alone. */
const mixed = (n: number): number => {
  const first = Math.imul(n ^ (n >>> 15), 0x2c1b_3c6d);
  return (Math.imul(first ^ (first >>> 12), 0x297a_2d39) ^ (first >>> 15)) >>> 0;
};

const one = (values: readonly string[], n: number): string => values[n % values.length] ?? '';

/** The values of one row; `users` are their ids. */
function rowSql(n: number, users: readonly number[]): string {
  const random = mixed(n + 1);
  const user = users[random % users.length] ?? 0;
  const [page, device] = [one(PAGES, random >>> 3), one(DEVICES, random >>> 7)];
  const [browser, location] = [one(BROWSERS, random >>> 11), one(LOCATIONS, random >>> 17)];
  return `(${user},'${page}','${device}','${browser}','${location}')`;
}

const INSERT = 'INSERT INTO page_views (user_id, page, device, browser, location) VALUES ';

/** Writes page views of the scene's customers, different ones, the same in every run. */
export class Views implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #scene: Scene;
  readonly #users: readonly number[];
  readonly #writers: Connection[] = [];
  /** How many there are. */
  written = 0;

  private constructor(stage: Stage, scene: Scene, users: readonly number[]) {
    this.#stage = stage;
    this.#scene = scene;
    this.#users = users;
  }

  static async of(stage: Stage, scene: Scene): Promise<Views> {
    const [rows] = await scene.connection.query(
      "SELECT id FROM customers WHERE email LIKE 'many%' ORDER BY id",
    );
    return new Views(
      stage,
      scene,
      (rows as { id: number }[]).map(({ id }) => id),
    );
  }

  async one(): Promise<void> {
    await this.#scene.connection.query(INSERT + rowSql(this.written++, this.#users));
  }

  /** So many, in transactions of so many (the last one may be smaller). */
  async fill(rows: number, perTransaction: number): Promise<void> {
    const end = this.written + rows;
    const count = perTransaction >= 1_000 ? WRITERS_OF_MANY : WRITERS_OF_FEW;
    const writers = await this.#connections(count);
    await Promise.all(
      writers.map(async (writer) => {
        while (this.written < end) {
          const begin = this.written;
          this.written = Math.min(end, begin + perTransaction);
          const values = Array.from({ length: this.written - begin }, (_, i) =>
            rowSql(begin + i, this.#users),
          );
          await writer.query(INSERT + values.join(','));
        }
      }),
    );
  }

  /**
   * One row a transaction, so many a second; answers when each was committed (epoch ms) by its id,
   * and how many were a second in fact.
   */
  async live(
    perSecond: number,
    seconds: number,
  ): Promise<{ committedMs: Map<number, number>; perSecond: number }> {
    const committedMs = new Map<number, number>();
    const begin = this.written;
    const end = begin + perSecond * seconds;
    const startMs = performance.now();
    const writers = await this.#connections(LIVE_WRITERS);
    await Promise.all(
      writers.map(async (writer) => {
        while (this.written < end) {
          const n = this.written++;
          const waitMs = startMs + ((n - begin) * 1000) / perSecond - performance.now();
          if (waitMs > 0) await sleep(waitMs);
          const [result] = await writer.query(INSERT + rowSql(n, this.#users));
          const { insertId } = result as { insertId: number };
          committedMs.set(insertId, performance.timeOrigin + performance.now());
        }
      }),
    );
    const elapsedSeconds = (performance.now() - startMs) / 1000;
    return { committedMs, perSecond: (end - begin) / elapsedSeconds };
  }

  async #connections(count: number): Promise<Connection[]> {
    const { host, port, user, password } = this.#stage.server;
    while (this.#writers.length < count) {
      const database = this.#scene.name;
      this.#writers.push(await createConnection({ host, port, user, password, database }));
    }
    return this.#writers.slice(0, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.#writers) writer.destroy();
  }
}

import { readFileSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { freshDatabase, injectServices } from '../support/services.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const SETUP = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');

/** Passes bytes on, until it is told to swallow those of the links that are open now. */
async function startProxy(port: number) {
  const links: { isSilent: boolean }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const link = { isSilent: false };
    links.push(link);
    const upstream = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!link.isSilent) to.write(bytes);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        // A broken link does not tell the other side.
        if (!link.isSilent) to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    silence: () => {
      for (const link of links) link.isSilent = true;
    },
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe.concurrent.each(['mysql', 'mariadb'] as const)('capture on %s', (flavour) => {
  test(
    'finds out that its links are dead though nobody says so, and takes its lock again',
    { timeout: 120_000 },
    async () => {
      await using database = await freshDatabase(injectServices()[flavour]);
      await database.connection.query(SETUP);
      using proxy = await startProxy(database.settings.port);
      const publisher = new MemoryPublisher();
      await using capture = startCapture({ ...database.settings, port: proxy.port }, publisher);
      await capture.reads();
      proxy.silence();
      await database.connection.query("INSERT INTO page_views (user_id, page) VALUES (1, 'home')");
      await until(() => publisher.views.length === 1, 'the view', capture.done, 90_000);
      expect(capture.warnings.length).toBeGreaterThan(0);
      expect(capture.status().state).toBe('streaming');
    },
  );

  test(
    'a quiet database keeps its links: the heartbeats are heard',
    { timeout: 60_000 },
    async () => {
      await using database = await freshDatabase(injectServices()[flavour]);
      await database.connection.query(SETUP);
      const publisher = new MemoryPublisher();
      await using capture = startCapture(database.settings, publisher);
      await capture.reads();
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      expect(capture.warnings).toEqual([]);
      expect(capture.status().positionAgeSeconds).toBeLessThan(5);
    },
  );
});

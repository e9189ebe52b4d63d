import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HttpServer, serveObserved } from '../../src/observe/http-server.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';

const HOSTILE = '"}\n# evil\\\u001B[31m<script>alert(1)</script>';
const metrics = createMetrics();
let server: HttpServer;
let simulator: Simulator;

beforeAll(async () => {
  metrics.topicLag.set({ topic: HOSTILE }, 7);
  const observed = {
    notReady: () => [`database: ${HOSTILE}`],
    status: () => Promise.resolve({ reason: HOSTILE, long: 'x'.repeat(10_000) }),
    metrics: () => metrics.registry.metrics(),
  };
  const started = await serveObserved({ host: '127.0.0.1', port: 0 }, observed);
  if (started === null) throw new Error('not started');
  server = started;
  simulator = await startSimulator({ port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await simulator[Symbol.asyncDispose]();
});

interface Talk {
  socket: Socket;
  heard: () => string;
  /** Milliseconds until the other side has closed. */
  closed: Promise<number>;
}

/** A bare connection that says `text`. */
async function talk(url: string, text: string): Promise<Talk> {
  const began = performance.now();
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.on('error', () => undefined);
  const closed = new Promise<number>((resolve) => {
    socket.once('close', () => resolve(performance.now() - began));
  });
  await once(socket, 'connect');
  socket.write(text);
  return { socket, heard: () => heard, closed };
}

/** The whole answer to a request that ends its connection. */
async function ask(lines: readonly string[], url = server.url): Promise<string> {
  const { heard, closed } = await talk(url, `${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`);
  await closed;
  return heard();
}

const statusOf = (answer: string): number => Number(answer.slice(9, 12));

describe('the status server', () => {
  // Guards isExpectedHost.
  it('answers to its own names only, in a sentence that says which', async () => {
    for (const name of [
      'evil.example',
      '127.0.0.1.evil.example',
      'localhost.evil',
      '0.0.0.0',
      '[::2]:80',
      ' ',
    ]) {
      const answer = await ask(['GET /status HTTP/1.1', `Host: ${name}`]);
      expect([name, statusOf(answer)]).toEqual([name, 403]);
      expect(answer).toContain('ask for 127.0.0.1');
    }
    for (const name of ['localhost:9464', '[::1]:1', '127.0.0.1']) {
      expect(statusOf(await ask(['GET /status HTTP/1.1', `Host: ${name}`]))).toBe(200);
    }
    expect(statusOf(await ask(['GET /status HTTP/1.1']))).toBe(400);
  });

  it('takes GET and HEAD alone', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
      const answer = await ask([`${method} /status HTTP/1.1`, 'Host: localhost']);
      expect([method, statusOf(answer)]).toEqual([method, 405]);
      expect(answer).toContain('Allow: GET, HEAD');
    }
    const head = await ask(['HEAD /status HTTP/1.1', 'Host: localhost']);
    expect(head).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
  });

  // Guards hasBody: without it the body is drained for as long as it comes.
  it('wants no body and does not wait for one', async () => {
    for (const header of ['Content-Length: 99999999', 'Transfer-Encoding: chunked']) {
      const { heard, closed } = await talk(
        server.url,
        `GET /healthz HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n1\r\nx`,
      );
      expect(await closed).toBeLessThan(4_000);
      expect(statusOf(heard())).toBe(413);
    }
  });

  // Guards maxHeaderSize and maxHeadersCount.
  it('bounds the length of the address and of the headers', async () => {
    const long = 'x'.repeat(9_000);
    expect(statusOf(await ask([`GET /${long} HTTP/1.1`, 'Host: localhost']))).toBe(431);
    expect(statusOf(await ask(['GET / HTTP/1.1', 'Host: localhost', `X: ${long}`]))).toBe(431);
    const many = Array.from({ length: 100 }, (_, i) => `X-${i}: 1`);
    expect(statusOf(await ask(['GET / HTTP/1.1', ...many, 'Host: localhost']))).toBe(431);
  });

  it('gives back nothing of the request, and lets no page use it', async () => {
    const answer = await ask(['GET /<script>?q=<img> HTTP/1.1', 'Host: localhost', 'X: <b>']);
    expect(statusOf(answer)).toBe(404);
    for (const word of ['<script>', '<img>', '<b>']) expect(answer).not.toContain(word);
    const page = await ask(['GET / HTTP/1.1', 'Host: localhost']);
    for (const header of [
      'X-Content-Type-Options: nosniff',
      "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
      'Cache-Control: no-store',
      'Content-Type: text/plain; charset=utf-8',
    ]) {
      expect(page).toContain(header);
    }
  });

  // Guards oneLine and plainJson in http-server.ts, and prom-client's escaping.
  it('shows hostile text as text: no line and no colour of its own', async () => {
    for (const path of ['/', '/readyz', '/status', '/metrics']) {
      const body = (await ask([`GET ${path} HTTP/1.1`, 'Host: localhost'])).split('\r\n\r\n')[1];
      expect(body).toContain('# evil');
      if (path !== '/metrics') expect(body).not.toContain('\u001B');
      expect(body).not.toMatch(/^# evil/m);
    }
    const lag = /^iterable_sync_topic_lag_messages\{.*$/m.exec(await metrics.registry.metrics());
    expect(lag?.[0]).toMatch(
      /^iterable_sync_topic_lag_messages\{topic="\\"\}\\n# evil\\\\.*"\} 7$/,
    );
  });

  // Guards keepRoom: with a plain maxConnections the newest would be turned away.
  it('answers at once while many connections say nothing', async () => {
    const silent = await Promise.all(
      Array.from({ length: 150 }, () => talk(server.url, 'GET / HTTP/1.1\r\nHost: loc')),
    );
    const answer = await ask(['GET /healthz HTTP/1.1', 'Host: localhost']);
    expect(statusOf(answer)).toBe(200);
    for (const { socket } of silent) socket.destroy();
  });
});

describe('slow clients', () => {
  // Guards headersTimeout, keepAliveTimeout and connectionsCheckingInterval of both servers.
  it('are cut off in bounded time, whatever they leave unfinished', async () => {
    const drips: NodeJS.Timeout[] = [];
    const all = [server.url, simulator.url].flatMap((url) => [
      talk(url, ''),
      talk(url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: '),
    ]);
    all.push(talk(server.url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'));
    const talks = await Promise.all(all);
    // One header byte now and then keeps no connection alive.
    for (const { socket } of talks.slice(1, 4))
      drips.push(setInterval(() => socket.write('x'), 400));
    const times = await Promise.all(talks.map(({ closed }) => closed));
    for (const drip of drips) clearInterval(drip);
    expect(times.filter((ms) => ms > 25_000)).toEqual([]);
  }, 40_000);
});

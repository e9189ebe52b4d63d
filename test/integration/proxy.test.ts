import { type IncomingMessage, createServer, request } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { makeCertificates } from '../support/certificates.ts';
import { Program, runToEnd, until } from '../support/program.ts';
import { addPros, stage } from '../support/stage.ts';

interface Listening extends AsyncDisposable {
  port: number;
}

function closing(server: { close(done: () => void): unknown }, sockets: Iterable<Socket>) {
  return async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(resolve));
  };
}

function join(sockets: Set<Socket>, a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    sockets.add(from);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}

/** Ends TLS as iterable.test, and passes on what it was told to a port of this machine. */
async function tlsInFrontOf(port: number, file: (name: string) => string): Promise<Listening> {
  const sockets = new Set<Socket>();
  const [key, cert] = ['server.key', 'server.pem'].map((name) => readFileSync(file(name)));
  const server = createTlsServer({ key, cert }, (client) =>
    join(sockets, client, connect(port, '127.0.0.1')),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as AddressInfo;
  return { port: own, [Symbol.asyncDispose]: closing(server, sockets) };
}

/** A proxy that alone knows where iterable.test is, and wants to know who asks. */
class TestProxy implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((incoming, response) => {
    if (!this.#admits(incoming)) return void response.writeHead(407).end();
    const { pathname } = new URL(incoming.url ?? '');
    const { method, headers } = incoming;
    const onward = request({
      host: '127.0.0.1',
      port: this.#target,
      method,
      path: pathname,
      headers,
    });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(onward);
  });
  readonly #target: number;

  constructor(target: number) {
    this.#target = target;
    this.#server.on('connect', (incoming: IncomingMessage, client: Socket) => {
      if (!this.#admits(incoming)) return void client.end('HTTP/1.1 407 Who\r\n\r\n');
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      join(this.#sockets, client, connect(this.#target, '127.0.0.1'));
    });
  }

  #admits({ method, url, headers }: IncomingMessage): boolean {
    this.asked.push(`${method} ${url}`);
    const login = Buffer.from('me:proxy-secret').toString('base64');
    return headers['proxy-authorization'] === `Basic ${login}`;
  }

  async url(login = 'me:proxy-secret'): Promise<string> {
    if (!this.#server.listening) {
      await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    }
    const { port } = this.#server.address() as AddressInfo;
    return `http://${login}@127.0.0.1:${port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await closing(this.#server, this.#sockets)();
  }
}

const portOf = (url: string): number => Number(new URL(url).port);

describe('behind a proxy', () => {
  const file = makeCertificates();

  it('every command calls Iterable through HTTPS_PROXY, over connections that are kept', async () => {
    await using on = await stage();
    await using tls = await tlsInFrontOf(portOf(on.simulator.url), file);
    await using proxy = new TestProxy(tls.port);
    const env: Record<string, string> = {
      ...on.env,
      ITERABLE_API_BASE_URL: 'https://iterable.test',
      HTTPS_PROXY: await proxy.url(),
      NODE_EXTRA_CA_CERTS: file('ca.pem'),
    };
    const doctor = await runToEnd(['doctor'], env);
    expect(doctor.stdout).toContain('ok    Iterable: key: accepted');
    await addPros(on, 20);
    proxy.asked.length = 0;
    // One after the other, so that a connection is free again for the next.
    const backfill = await runToEnd(['backfill', '--rate-share', '0.02'], env);
    expect(backfill.code, backfill.stderr).toBe(0);
    expect(on.simulator.users.size).toBe(23);
    // Of 46 calls.
    expect(proxy.asked.length).toBeLessThan(23);
    on.simulator.reset();
    await using program = new Program(['run'], env);
    await program.ready();
    await until('they are there', () => Promise.resolve(on.simulator.users.size === 23));
    expect(new Set(proxy.asked)).toEqual(new Set(['CONNECT iterable.test:443']));
    const log = readFileSync(env['LOG_FILE'] ?? '', 'utf8');
    expect(log + program.stderr + backfill.stderr + doctor.stdout).not.toContain('proxy-secret');
  }, 120_000);

  it('a base URL of http:// goes through HTTP_PROXY', async () => {
    await using on = await stage();
    await using proxy = new TestProxy(portOf(on.simulator.url));
    const env = {
      ...on.env,
      ITERABLE_API_BASE_URL: 'http://iterable.test',
      HTTP_PROXY: await proxy.url(),
    };
    const { code, stderr } = await runToEnd(['backfill'], env);
    expect(code, stderr).toBe(0);
    expect(on.simulator.users.size).toBe(3);
    expect(proxy.asked.length).toBeGreaterThan(0);
  });

  it('hosts of NO_PROXY, and loopback addresses, are called without it', async () => {
    await using on = await stage();
    await using proxy = new TestProxy(portOf(on.simulator.url));
    const HTTP_PROXY = await proxy.url();
    const env: Record<string, string> = { ...on.env, HTTP_PROXY };
    expect((await runToEnd(['backfill'], env)).code).toBe(0);
    const away = { ITERABLE_API_BASE_URL: 'http://iterable.test', NO_PROXY: '.test' };
    const doctor = await runToEnd(['doctor'], { ...env, ...away });
    expect(doctor.stdout).toMatch(/FAIL {2}Iterable: reachable: .*(ENOTFOUND|EAI_AGAIN)/);
    expect(proxy.asked).toEqual([]);
  });

  it('that refuses, the sentence says so, and no password', async () => {
    await using on = await stage();
    await using proxy = new TestProxy(portOf(on.simulator.url));
    const env: Record<string, string> = {
      ...on.env,
      ITERABLE_API_BASE_URL: 'https://iterable.test',
      HTTPS_PROXY: await proxy.url('me:wrong-secret'),
    };
    const { stdout, code } = await runToEnd(['doctor'], env);
    expect(code).toBe(3);
    expect(stdout).toMatch(/FAIL {2}Iterable: reachable: .*407/);
    expect(stdout).not.toContain('wrong-secret');
  });
});

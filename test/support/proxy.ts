import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

interface Link {
  client: Socket;
  server: Socket;
}

/**
 * Stands between the program and a server, on a port of its own, and breaks what goes through it:
 * cuts links at a byte, or lets them go silent as a half-open link does.
 */
export class Proxy implements AsyncDisposable {
  readonly #listener: Server;
  readonly #target: () => { host: string; port: number };
  readonly #links = new Set<Link>();
  #cutAfter: (() => number) | null = null;
  #takesNothing = false;
  /** Links that were ever opened, and those that were broken. */
  opened = 0;
  broken = 0;

  private constructor(target: () => { host: string; port: number }) {
    this.#target = target;
    this.#listener = createServer((client) => this.#open(client));
  }

  /** The target may be told later than the port (a broker that has to advertise it). */
  static async open(target: () => { host: string; port: number }): Promise<Proxy> {
    const proxy = new Proxy(target);
    await new Promise<void>((resolve) => {
      proxy.#listener.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Each new link is cut after so many bytes, of both directions together; null: none is. */
  cutAfter(bytes: (() => number) | null): void {
    this.#cutAfter = bytes;
  }

  cutAll(): void {
    for (const link of this.#links) this.#cut(link);
  }

  /** The links that are open now go silent, and nobody is told. New ones work. */
  silence(): void {
    for (const { client, server } of this.#links) {
      client.unpipe(server);
      server.unpipe(client);
      client.removeAllListeners('data');
      server.removeAllListeners('data');
      client.pause();
      server.pause();
    }
    this.broken += this.#links.size;
  }

  /** New links are taken, and nothing goes through them. */
  takeNothing(isSo: boolean): void {
    this.#takesNothing = isSo;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #open(client: Socket): void {
    this.opened += 1;
    client.on('error', () => undefined);
    if (this.#takesNothing) return void client.pause();
    const { host, port } = this.#target();
    const server = connect(port, host);
    const link = { client, server };
    this.#links.add(link);
    let left = this.#cutAfter?.() ?? Number.POSITIVE_INFINITY;
    const forward = (from: Socket, to: Socket): void => {
      from.setNoDelay(true);
      from.on('data', (chunk: Buffer) => {
        left -= chunk.length;
        // What is before the byte still comes, as from a server that dies while it writes.
        if (left <= 0) {
          to.write(chunk.subarray(0, Math.max(0, chunk.length + left)), () => this.#cut(link));
        } else if (!to.write(chunk)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
      from.on('error', () => this.#end(link));
      from.on('close', () => this.#end(link));
      from.on('end', () => to.end());
    };
    forward(client, server);
    forward(server, client);
  }

  #cut(link: Link): void {
    if (this.#links.has(link)) this.broken += 1;
    link.client.resetAndDestroy();
    link.server.resetAndDestroy();
    this.#links.delete(link);
  }

  #end(link: Link): void {
    link.client.destroy();
    link.server.destroy();
    this.#links.delete(link);
  }
}

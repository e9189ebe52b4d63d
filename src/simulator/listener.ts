/** A listening socket that can go away for a while and come back on the same port. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';

export class Listener {
  readonly #server: Server;
  readonly #host: string;
  #port: number;
  #ended = false;
  #last: Promise<void> = Promise.resolve();

  constructor(server: Server, host: string, port: number) {
    this.#server = server;
    this.#host = host;
    this.#port = port;
  }

  /**
   * Resolves when the socket listens (or does not, with all connections closed), after what was
   * asked for before. Rejects when the address can't be had.
   */
  follow(listening: boolean): Promise<void> {
    const next = this.#last.then(() => this.#set(listening && !this.#ended));
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Closes for good. */
  end(): Promise<void> {
    this.#ended = true;
    return this.follow(false);
  }

  async #set(listening: boolean): Promise<void> {
    if (listening === this.#server.listening) return;
    if (listening) {
      this.#server.listen(this.#port, this.#host);
      await once(this.#server, 'listening');
      this.#port = (this.#server.address() as AddressInfo).port;
      return;
    }
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

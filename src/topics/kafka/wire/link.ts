import type { Socket } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { Bodies } from './bodies.ts';
import { orAborted } from './or-aborted.ts';
import type { Broker, Inside, PoolOptions, Protocol } from './inside.ts';

/** Above every limit of a request and of its connection: nothing of kafkajs may wait for longer. */
const ASK_MS_MAX = 20_000;

export interface Address {
  host: string;
  port: number;
}

export interface LinkOptions extends Omit<PoolOptions, 'brokers'> {
  authenticationTimeout: number;
}

class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/** A request, and how its answer is read. */
export interface Ours<T> extends Omit<Protocol, 'response'> {
  decode: (payload: Buffer) => Promise<T>;
  /** Of a Produce request, instead of what kafkajs would encode; it stays as it is until the answer. */
  body?: readonly Buffer[];
}

/**
 * The connections to one broker. One that fails is thrown away with everything that was written to
 * it, and the next question opens others: what was given up must not be written later.
 */
export class Link {
  readonly #inside: Inside;
  readonly #options: LinkOptions;
  readonly #address: Address;
  #broker: Promise<Broker> | null = null;
  #sockets = new Set<Socket>();
  readonly #bodies = new Bodies();
  /** Of `performance.now()`; the broker that failed last is asked last. */
  failedMs = 0;

  constructor(inside: Inside, options: LinkOptions, address: Address) {
    this.#inside = inside;
    this.#options = options;
    this.#address = address;
  }

  isAt({ host, port }: Address): boolean {
    return host === this.#address.host && port === this.#address.port;
  }

  /**
   * Sends what `of` makes for the version that the broker and kafkajs have in common.
   * @throws what kafkajs throws; after 20 s, or when the signal aborts, the link is dropped.
   */
  async ask<T>(
    apiName: keyof Inside['requests'],
    options: unknown,
    of: (theirs: Protocol) => Ours<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const late = (): Error => new NoAnswerError('the broker gives no answer');
    try {
      return await orAborted(this.#send(apiName, options, of), signal, ASK_MS_MAX, late);
    } catch (error) {
      if (!signal.aborted) this.failedMs = performance.now();
      this.drop();
      throw error;
    }
  }

  /** Closes the connections now. */
  drop(): void {
    const sockets = this.#sockets;
    const broker = this.#broker;
    this.#sockets = new Set();
    this.#broker = null;
    for (const socket of sockets) socket.destroy(new Error('the connection was given up'));
    void broker?.then((one) => one.disconnect()).catch(() => undefined);
  }

  async #send<T>(
    apiName: keyof Inside['requests'],
    options: unknown,
    of: (theirs: Protocol) => Ours<T>,
  ): Promise<T> {
    const { requests, apiKeys } = this.#inside;
    this.#broker ??= this.#open();
    const broker = await this.#broker;
    if (!broker.isConnected()) await broker.connect();
    const theirs = broker.lookupRequest(apiKeys[apiName], requests[apiName])(options);
    const { decode, body, ...ours } = of(theirs);
    if (body === undefined) return await this.#ask(broker, apiName, ours, decode);
    const number = this.#bodies.put(body);
    const encode = () => Promise.resolve({ buf: number, buffer: number });
    try {
      const request = { ...ours.request, encode };
      return await this.#ask(broker, apiName, { ...ours, request }, decode);
    } finally {
      this.#bodies.forget(number);
    }
  }

  async #ask<T>(
    broker: Broker,
    apiName: string,
    request: Omit<Protocol, 'response'>,
    decode: (payload: Buffer) => Promise<T>,
  ): Promise<T> {
    const answers: T[] = [];
    await broker.connectionPool.send({
      ...request,
      response: {
        decode: async (payload) => {
          answers.push(await decode(payload));
          return {};
        },
        // Errors are read where the answer is: one of one partition is not one of all.
        parse: (decoded) => Promise.resolve(decoded),
      },
      logResponseError: false,
    });
    const [answer] = answers;
    if (answer === undefined) throw new Error(`${apiName} was answered with nothing`);
    return answer;
  }

  async #open(): Promise<Broker> {
    const { Broker, poolBuilder } = this.#inside;
    const { authenticationTimeout, socketFactory, ...options } = this.#options;
    const sockets = this.#sockets;
    const recorded: ISocketFactory = (asked) => {
      if (sockets !== this.#sockets) throw new Error('the connection was given up');
      const socket = socketFactory(asked);
      this.#bodies.attach(socket);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    };
    const { host, port } = this.#address;
    const brokers = [`${host}:${port}`];
    const pools = poolBuilder({ ...options, brokers, socketFactory: recorded });
    return new Broker({
      connectionPool: await pools.build(this.#address),
      logger: options.logger,
      authenticationTimeout,
      allowAutoTopicCreation: false,
    });
  }
}

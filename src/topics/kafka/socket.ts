import { type Socket, connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import kafkajs, { type ISocketFactory } from 'kafkajs';
import { Frames } from './frames.ts';

const KEEP_ALIVE_MS = 30_000;
/** Not heard for longer, beside one that gives no answer, an idle socket is closed with it. */
const IDLE_MS = 2_000;
/** Requests whose answer may take as long as a rebalance: JoinGroup and SyncGroup. */
const REBALANCE_REQUESTS: ReadonlySet<number> = new Set([11, 14]);

export interface SilenceLimits {
  /** For any answer, in milliseconds. */
  answerMsMax: number;
  /** For the answer that waits for the other members of the group. */
  rebalanceMsMax: number;
}

interface Broker {
  host: string;
  port: number;
}

interface Watched {
  socket: Socket;
  broker: Broker;
  /** When the oldest request without an answer was written; null: nothing is owed. */
  askedMs: number | null;
  heardMs: number;
  timer: NodeJS.Timeout | null;
}

/**
 * Sockets for kafkajs 2.2.4, made good where its connections fail (network/connection.js):
 *
 * - It gives a request up after its time, but keeps the connection, and asks over it again and
 *   again: a half-open link would be asked for ever. Here a socket that owes an answer for too long
 *   is closed, and with it those to the same broker that were not heard since it was asked, or are
 *   idle; kafkajs opens others.
 * - What it writes to a socket that has just closed, or that the broker has just ended, is answered
 *   never: it stopped looking for late answers at the end. Here the socket is closed at once, and
 *   writing fails.
 * - It keeps the first part of a response over a reconnect, and reads the next connection from the
 *   middle: an exception that ends the process. Here it is given whole responses only.
 */
export function socketFactory(limits: SilenceLimits): ISocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    // kafkajs hands `false` and `true` through, whatever its types say.
    const socket = ssl
      ? connectTls({ host, port, ...name, ...ssl }, onConnect)
      : connect({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    watch(socket, limits, { host, port });
    giveWhole(socket);
    return socket;
  };
}

/** Of all clients: what one of them finds out holds for the others. */
const open = new Set<Watched>();

function watch(socket: Socket, limits: SilenceLimits, broker: Broker): void {
  const mine: Watched = { socket, broker, askedMs: null, heardMs: performance.now(), timer: null };
  open.add(mine);
  const wait = (ms: number): void => {
    if (mine.timer !== null) clearTimeout(mine.timer);
    mine.timer = setTimeout(() => closeSilent(mine), ms).unref();
  };
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  const watched = (...args: unknown[]): boolean => {
    if (socket.destroyed) throw closedError(broker);
    const isRebalance = REBALANCE_REQUESTS.has(requestKind(args[0]));
    if (mine.askedMs === null) {
      mine.askedMs = performance.now();
      wait(isRebalance ? limits.rebalanceMsMax : limits.answerMsMax);
    } else if (isRebalance) wait(limits.rebalanceMsMax);
    return write(...args);
  };
  // Node puts another one in its place when the other side has ended (lib/net.js, writeAfterFIN).
  Object.defineProperty(socket, 'write', { get: () => watched, set() {}, configurable: true });
  socket.on('data', () => {
    mine.askedMs = null;
    mine.heardMs = performance.now();
    if (mine.timer !== null) clearTimeout(mine.timer);
  });
  // Before kafkajs' own listener, which lets others write while it cleans up.
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    open.delete(mine);
    if (mine.timer !== null) clearTimeout(mine.timer);
  });
}

/** Listeners of `data` that come from here on get whole responses. */
function giveWhole(socket: Socket): void {
  const on = socket.on.bind(socket) as (event: string, listener: unknown) => Socket;
  const frames = new Frames();
  const wrapped = (event: string, listener: (...args: never[]) => void): Socket => {
    if (event !== 'data') return on(event, listener);
    const take = listener as (whole: Buffer) => void;
    return on('data', (chunk: Buffer) => {
      let whole: Buffer | null;
      try {
        whole = frames.take(chunk);
      } catch (error) {
        socket.destroy(error as Error);
        return;
      }
      if (whole !== null) take(whole);
    });
  };
  socket.on = wrapped as Socket['on'];
}

/** What kafkajs throws itself where it knows of it (its types don't): it looks at the name. */
function closedError(broker: Broker): Error {
  const error = new kafkajs.KafkaJSConnectionError('the connection is closed');
  return Object.assign(error, { name: 'KafkaJSConnectionClosedError', ...broker });
}

/** An idle one to the same broker would be found out only by a request of its own, one after the other. */
function closeSilent(silent: Watched): void {
  const sinceMs = silent.askedMs ?? 0;
  const quietSinceMs = performance.now() - IDLE_MS;
  const { host, port } = silent.broker;
  for (const { socket, broker, askedMs, heardMs } of open) {
    if (broker.host !== host || broker.port !== port) continue;
    const isIdle = askedMs === null && heardMs <= quietSinceMs;
    if (isIdle || heardMs <= sinceMs) socket.destroy(new Error('the broker gives no answer'));
  }
}

/** The request's API key: after four bytes of length (kafka.apache.org/protocol). */
function requestKind(chunk: unknown): number {
  return Buffer.isBuffer(chunk) && chunk.length >= 6 ? chunk.readInt16BE(4) : -1;
}

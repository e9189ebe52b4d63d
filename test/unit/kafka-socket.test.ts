import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { Frames } from '../../src/topics/kafka/frames.ts';
import { socketFactory } from '../../src/topics/kafka/socket.ts';
import { connectOnce } from '../../src/topics/kafka/wire/connect-once.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';

function frame(payload: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(payload.length);
  return Buffer.concat([size, payload]);
}

describe('the responses of a broker', () => {
  it('come whole and in order, however they were cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 400 })),
        (payloads, sizes) => {
          const all = Buffer.concat(payloads.map(frame));
          const frames = new Frames();
          const given: Buffer[] = [];
          for (let at = 0; at < all.length;) {
            const { value: size = 1 } = sizes.next();
            const whole = frames.take(all.subarray(at, at + size));
            at += size;
            if (whole === null) continue;
            // Each piece that is handed over ends where a response ends.
            const rest = new Frames();
            expect(rest.take(whole)?.length).toBe(whole.length);
            given.push(whole);
          }
          expect(Buffer.concat(given).equals(all)).toBe(true);
        },
      ),
    );
  });

  it('are refused where their size makes no sense', () => {
    expect(() => new Frames().take(Buffer.from([255, 255, 255, 255]))).toThrow('-1 bytes');
  });
});

/** A broker that does with each connection what it is told. */
async function broker(serve: (socket: Socket) => void) {
  const server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.dispose]: () => server.close() };
}

const at = (port: number) => ({ host: '127.0.0.1', port, onConnect: () => undefined });
const request = Buffer.concat([frame(Buffer.from([0, 3, 0, 0]))]);

describe('a socket to a broker', () => {
  it('is closed when no answer comes in time, and with it one that was not heard since', async () => {
    using silent = await broker((socket) => void socket.on('error', () => undefined));
    const open = socketFactory({ answerMsMax: 50, rebalanceMsMax: 10_000 });
    const idle = open(at(silent.port) as never);
    const asked = open(at(silent.port) as never);
    await Promise.all([once(idle, 'connect'), once(asked, 'connect')]);
    const ended = Promise.all([once(idle, 'error'), once(asked, 'error')]);
    asked.write(request);
    const [[first], [second]] = await ended;
    expect((first as Error).message).toContain('no answer');
    expect((second as Error).message).toContain('no answer');
  });

  it('fails at once what is written after its end', async () => {
    using closing = await broker((socket) => socket.destroy());
    const socket = socketFactory({ answerMsMax: 5_000, rebalanceMsMax: 5_000 })(
      at(closing.port) as never,
    );
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, 'close');
    expect(() => socket.write(request)).toThrow('the connection is closed');
  });

  // kafkajs looks for answers that are late no more, once it knows of the end.
  it('fails at once what is written after the broker has ended it, before it is closed', async () => {
    using closing = await broker((socket) => void socket.end());
    const socket = socketFactory({ answerMsMax: 5_000, rebalanceMsMax: 5_000 })(
      at(closing.port) as never,
    );
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, 'end');
    expect(() => socket.write(request)).toThrow('the connection is closed');
  });

  it('is the only one, however many requests wait for it', async () => {
    let sockets = 0;
    using open = await broker(() => void (sockets += 1));
    const { Connection, poolBuilder } = kafkajsInside();
    connectOnce(Connection);
    const pool = poolBuilder({
      brokers: [`127.0.0.1:${open.port}`],
      clientId: 'test',
      logger: new Kafka({ brokers: ['127.0.0.1:1'], logLevel: logLevel.NOTHING }).logger(),
      socketFactory: socketFactory({ answerMsMax: 50, rebalanceMsMax: 50 }),
      connectionTimeout: 1_000,
      requestTimeout: 1_000,
    });
    const {
      pool: [connection],
    } = (await pool.build({
      host: '127.0.0.1',
      port: open.port,
    })) as unknown as { pool: { connect(): Promise<unknown>; disconnect(): Promise<unknown> }[] };
    await Promise.all([connection?.connect(), connection?.connect(), connection?.connect()]);
    await connection?.disconnect();
    await connection?.connect();
    await connection?.disconnect();
    await sleep(100);
    expect(sockets).toBe(2);
  });
});

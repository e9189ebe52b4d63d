import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Bodies } from '../../src/topics/kafka/wire/bodies.ts';

const PRODUCE = 0;
const METADATA = 3;

/** As kafkajs writes it: size, API key, and whatever it encoded. */
function request(apiKey: number, encoded: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head.writeInt32BE(6 + encoded.length, 0);
  head.writeInt16BE(apiKey, 4);
  head.writeInt32BE(77, 6);
  return Buffer.concat([head, encoded]);
}

/** What the other side receives of what `write` writes. */
async function received(write: (socket: Socket) => void): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [other] = (await once(server, 'connection')) as [Socket];
  const chunks: Buffer[] = [];
  other.on('data', (chunk: Buffer) => chunks.push(chunk));
  write(socket);
  socket.end();
  await once(other, 'end');
  other.destroy();
  server.close();
  return Buffer.concat(chunks);
}

describe('the body of a Produce request', () => {
  it('stands where its number stood, and counts in the size', async () => {
    const bodies = new Bodies();
    const parts = [Buffer.from('frame'), Buffer.alloc(300_000, 'x'), Buffer.from('end')];
    const all = await received((socket) => {
      bodies.attach(socket);
      socket.write(request(METADATA, Buffer.from('theirs')), 'binary');
      socket.write(request(PRODUCE, bodies.put(parts)), 'binary');
      socket.write(request(METADATA, Buffer.from('more')), 'binary');
    });
    const produced = request(PRODUCE, Buffer.concat(parts));
    const others = ['theirs', 'more'].map((text) => request(METADATA, Buffer.from(text)));
    expect(all.equals(Buffer.concat([others[0]!, produced, others[1]!]))).toBe(true);
  });

  it('is not written any more once it was given up', async () => {
    const bodies = new Bodies();
    const number = bodies.put([Buffer.from('late')]);
    bodies.forget(number);
    const all = await received((socket) => {
      bodies.attach(socket);
      expect(() => socket.write(request(PRODUCE, number))).toThrow('given up');
    });
    expect(all).toHaveLength(0);
  });
});

import { describe, expect, test } from 'vitest';
import { type Packet, type RawConnection, onPackets } from '../../src/source/mysql/dump/packets.ts';

function shown(options: { isDone?: boolean; fails?: boolean } = {}) {
  const said: string[] = [];
  const left: Packet[] = [];
  const connection: RawConnection = {
    _paused: false,
    sequenceId: 0,
    pause: () => undefined,
    resume: () => undefined,
    handlePacket: (packet) => {
      if (packet === undefined) return;
      packet.offset = packet.end;
      left.push(packet);
    },
    query: () => undefined,
  };
  const after: number[] = [];
  onPackets(connection, {
    take: () => {
      if (options.fails === true) throw new Error('damaged');
      return options.isDone ?? true;
    },
    after: ({ offset }) => after.push(offset),
    failed: (error) => said.push((error as Error).message),
  });
  const buffer = Buffer.alloc(64);
  const give = (packets: number): void => {
    for (let i = 0; i < packets; i += 1) {
      connection.handlePacket({ sequenceId: 7, buffer, offset: 4, end: buffer.length });
    }
  };
  return { connection, said, left, after, give };
}

describe('packets of the dump', () => {
  test('are counted where zongji does not see them, and shown as they came after it has', () => {
    const done = shown();
    done.give(1);
    expect(done.left).toEqual([]);
    expect(done.connection.sequenceId).toBe(8);
    const others = shown({ isDone: false });
    others.give(1);
    expect(others.left).toHaveLength(1);
    expect(others.after).toEqual([4]);
  });

  test('fail alone', () => {
    const { said, give } = shown({ fails: true });
    give(2);
    expect(said).toEqual(['damaged', 'damaged']);
  });
});

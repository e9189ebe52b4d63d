import type { Socket } from 'node:net';
import { createConnection } from 'mysql2';
import type { Packet } from '../../src/source/mysql/dump/packets.ts';
import type { DatabaseAddress } from '../../tools/services/services.ts';

/** The server says EOF at the end of the log, in place of waiting for more. */
const NON_BLOCKING = 1;
const SERVER_ID = 499_999;
const BINLOG_DUMP = 0x12;
const ERROR = 0xff;
const EOF = 0xfe;
const EOF_BYTES_MAX = 9;

export interface LogPosition {
  file: string;
  position: number;
}

/** What is used of mysql2's connection beside its documented face (lib/base/connection.js). */
interface DumpConnection {
  stream: Socket;
  handlePacket(packet: Packet | undefined): void;
}

/** COM_BINLOG_DUMP with the header of a first packet. */
function dumpCommand({ file, position }: LogPosition): Buffer {
  const name = Buffer.from(file);
  const command = Buffer.alloc(4 + 11 + name.length);
  command.writeUIntLE(11 + name.length, 0, 3);
  command.writeUInt8(BINLOG_DUMP, 4);
  command.writeUInt32LE(position, 5);
  command.writeUInt16LE(NON_BLOCKING, 9);
  command.writeUInt32LE(SERVER_ID, 11);
  name.copy(command, 15);
  return command;
}

/** Reads the log from a position to its end and does nothing but count its packets. */
export async function readRawBinlog(
  { host, port, user, password }: DatabaseAddress,
  from: LogPosition,
): Promise<number> {
  const connection = createConnection({ host, port, user, password });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  connection.on('error', reject);
  const raw = connection as unknown as DumpConnection;
  const dump = (): void => {
    let count = 0;
    raw.handlePacket = (packet) => {
      if (packet === undefined) return;
      const { buffer, offset, end } = packet;
      const isEnd = buffer[offset] === EOF && end - offset < EOF_BYTES_MAX;
      if (buffer[offset] === ERROR) reject(new Error(buffer.toString('latin1', offset + 3, end)));
      else if (isEnd) resolve(count);
      else count += 1;
    };
    raw.stream.write(dumpCommand(from));
  };
  connection.query(
    'SET @source_binlog_checksum = @@global.binlog_checksum, @master_binlog_checksum = @@global.binlog_checksum',
    (error) => (error === null ? dump() : reject(error)),
  );
  try {
    return await promise;
  } finally {
    connection.destroy();
  }
}

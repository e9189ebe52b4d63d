/** One of the protocol's, without its header between `offset` and `end`. */
export interface Packet {
  sequenceId: number;
  buffer: Buffer;
  offset: number;
  end: number;
}

/** What we use of mysql2's connection beside its documented face (lib/base/connection.js). */
export interface RawConnection {
  _paused: boolean;
  /** Of the next packet. */
  sequenceId: number;
  pause(): void;
  resume(): void;
  handlePacket(packet: Packet | undefined): void;
  query(sql: string, callback: (error: unknown, rows: unknown) => void): void;
  query(sql: string, values: readonly string[], callback: (error: unknown) => void): void;
}

/** The longest part of a packet of the protocol; a longer one comes in several. */
const PACKET_PART_BYTES = 0xff_ffff;

interface PacketHandlers {
  before: (packet: Packet) => void;
  /** Whether zongji is not to see it. */
  take: (packet: Packet) => boolean;
  after: (packet: Packet) => void;
  failed: (error: unknown) => void;
}

/**
 * Shows every packet before and after zongji (in a pause: when its turn comes). What is thrown at
 * one goes to `failed`: uncaught, it would end the program, at the same place at every start.
 */
export function onPackets(
  connection: RawConnection,
  { before, take, after, failed }: PacketHandlers,
): void {
  const handlePacket = connection.handlePacket.bind(connection);
  connection.handlePacket = (packet) => {
    if (packet === undefined || connection._paused) return handlePacket(packet);
    // Handling moves the packet's offset.
    const { sequenceId, buffer, offset, end } = packet;
    const seen = { sequenceId, buffer, offset, end };
    try {
      before(seen);
      if (take(seen)) {
        const parts = Math.floor((end - offset) / PACKET_PART_BYTES) + 1;
        connection.sequenceId = (sequenceId + parts) % 256;
      } else {
        handlePacket(packet);
      }
      after(seen);
    } catch (error) {
      failed(error);
    }
  };
}

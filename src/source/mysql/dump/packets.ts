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
  /** Whether it is done with; false: it is for zongji. */
  take: (packet: Packet) => boolean;
  after: (packet: Packet) => void;
  failed: (error: unknown) => void;
}

/**
 * Shows every packet before zongji (in a pause: when its turn comes), and after it was handled. What
 * is thrown at one goes to `failed`: uncaught, it would end the program, at the same position at every
 * start.
 */
export function onPackets(
  connection: RawConnection,
  { take, after, failed }: PacketHandlers,
): void {
  const handlePacket = connection.handlePacket.bind(connection);
  connection.handlePacket = (packet) => {
    if (packet === undefined || connection._paused) return handlePacket(packet);
    const { sequenceId, buffer, offset, end } = packet;
    try {
      if (take(packet)) {
        const parts = Math.floor((end - offset) / PACKET_PART_BYTES) + 1;
        connection.sequenceId = (sequenceId + parts) % 256;
        after(packet);
      } else {
        // Handling moves the packet's offset.
        handlePacket(packet);
        after({ sequenceId, buffer, offset, end });
      }
    } catch (error) {
      failed(error);
    }
  };
}

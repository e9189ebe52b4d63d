import { EventTimes } from '../../src/source/mysql/decode/event-time.ts';
import { type ZongjiEvent, Translator } from '../../src/source/mysql/dump/translate.ts';
import type { CaptureEvent, NamedTable } from '../../src/source/mysql/dump/events.ts';

/** What is used of zongji's inside (lib/packet/binlog.js, lib/reader.js), which has no types. */
interface Inside {
  default: (zongji: object) => new () => { parse(parser: object): void; getEvent(): ZongjiEvent };
}
interface Reading {
  Parser: new () => { append(bytes: Buffer): void };
}
type Described = ZongjiEvent & {
  tableId: number;
  schemaName: string;
  tableName: string;
  buildColumnSchemas(): unknown;
  updateColumnInfo(): void;
};

const LIB = new URL('../../node_modules/@vlasky/zongji/lib/', import.meta.url).href;

/**
 * Reads packets by zongji and the translation of its events, without a server: what our own
 * reading is compared with.
 */
export async function zongjiReader(
  tables: readonly NamedTable[],
  timeZone: string,
  emit: (event: CaptureEvent) => void,
): Promise<(packet: Buffer) => void> {
  const { default: packetClass } = (await import(`${LIB}packet/binlog.js`)) as Inside;
  const { Parser } = (await import(`${LIB}reader.js`)) as Reading;
  const tableMaps: Record<number, unknown> = {};
  const zongji = {
    tableMap: tableMaps,
    useChecksum: true,
    connection: { config: { timezone: 'Z', dateStrings: false } },
    _skipSchema: () => false,
    _warnUnsupportedEvent: () => undefined,
    emit: (_: string, error: Error) => {
      throw error;
    },
  };
  const BinlogPacket = packetClass(zongji);
  const translator = new Translator(tables, 'mysql', new EventTimes(timeZone), emit);
  return (packet) => {
    const parser = new Parser();
    parser.append(Buffer.from(packet));
    const read = new BinlogPacket();
    read.parse(parser);
    const event = read.getEvent();
    if (event.getTypeName() === 'TableMap') {
      const described = event as Described;
      tableMaps[described.tableId] = {
        columnSchemas: described.buildColumnSchemas(),
        parentSchema: described.schemaName,
        tableName: described.tableName,
      };
      described.updateColumnInfo();
    }
    translator.translate(event);
  };
}

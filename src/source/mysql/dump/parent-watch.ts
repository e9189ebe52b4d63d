import { BODY_OFFSET, TABLE_MAP_EVENT, TYPE_OFFSET } from './event-layout.ts';
import type { Parent } from '../checks/foreign-keys.ts';

/** Event types as in event-layout.ts; from 166 on MariaDB's compressed ones. */
const UPDATES = new Set([24, 31, 39, 167, 170]);
const DELETES = new Set([25, 32, 168, 171]);

/** The body begins with the table id in 6 bytes, and flags in 2. */
const TABLE_ID_BYTES = 6;
const FLAGS_OFFSET = BODY_OFFSET + TABLE_ID_BYTES;
const SCHEMA_OFFSET = FLAGS_OFFSET + 2;

/** Rows_event::enum_flag: nothing cascades, or what does has row events of its own. */
const NO_FOREIGN_KEY_CHECKS = 2;
const USE_SQL_FOREIGN_KEY = 16;

/**
 * Finds changes of the tables that cascade into ours, in packets as they come: of a rows event it
 * reads the table's id alone, never a row. Costs nothing where there are no such tables.
 */
export class ParentWatch {
  #parents = new Map<string, Parent>();
  /** By table id, which a table keeps until its definition changes. */
  readonly #byId = new Map<number, Parent>();

  /** From now on these. Every statement names its tables anew, before their rows. */
  watch(parents: readonly Parent[]): void {
    this.#parents = new Map(parents.map((parent) => [keyOf(parent.schema, parent.name), parent]));
    this.#byId.clear();
  }

  /** The table whose change this packet tells of (from `start` to `end`); null: none. */
  changedBy(packet: Buffer, start: number, end: number): Parent | null {
    if (this.#parents.size === 0 || end - start < SCHEMA_OFFSET) return null;
    const type = packet.readUInt8(start + TYPE_OFFSET);
    if (type === TABLE_MAP_EVENT) {
      this.#map(packet, start, end);
      return null;
    }
    const isUpdate = UPDATES.has(type);
    if (!isUpdate && !DELETES.has(type)) return null;
    const parent = this.#byId.get(packet.readUIntLE(start + BODY_OFFSET, TABLE_ID_BYTES));
    if (parent === undefined || !(isUpdate ? parent.onUpdate : parent.onDelete)) return null;
    const flags = packet.readUInt16LE(start + FLAGS_OFFSET);
    return (flags & (NO_FOREIGN_KEY_CHECKS | USE_SQL_FOREIGN_KEY)) === 0 ? parent : null;
  }

  #map(packet: Buffer, start: number, end: number): void {
    const tableId = packet.readUIntLE(start + BODY_OFFSET, TABLE_ID_BYTES);
    const schemaAt = start + SCHEMA_OFFSET;
    const schemaEnd = schemaAt + 1 + (packet[schemaAt] ?? 0);
    const nameEnd = schemaEnd + 2 + (packet[schemaEnd + 1] ?? 0);
    if (nameEnd > end) return;
    const schema = packet.toString('utf8', schemaAt + 1, schemaEnd);
    const name = packet.toString('utf8', schemaEnd + 2, nameEnd);
    const parent = this.#parents.get(keyOf(schema, name));
    if (parent === undefined) this.#byId.delete(tableId);
    else this.#byId.set(tableId, parent);
  }
}

/** As lower_case_table_names may spell it; that two tables differ by case alone costs a look. */
function keyOf(schema: string, name: string): string {
  return `${schema}\0${name}`.toLowerCase();
}

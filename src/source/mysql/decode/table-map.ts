import { ByteReader, CorruptEventError } from './byte-reader.ts';
import { TYPE, metadataBytesOf } from './mysql-types.ts';
import type { Flavour } from '../position.ts';

/** A column as the table had it when its rows were written. */
export interface MappedColumn {
  name: string;
  type: number;
  /** See valueLengthOf. */
  metadata: number;
  isUnsigned: boolean;
  /** Id of the collation; null where it has none. */
  collation: number | null;
  /** Of an ENUM or SET, in its own character set. */
  values: readonly Buffer[];
}

export interface TableMap {
  tableId: number;
  schema: string;
  table: string;
  /** null where binlog_row_metadata is not FULL: the columns have no names then. */
  columns: readonly MappedColumn[] | null;
  /** A type of a later server. */
  unknownType: number | null;
}

/** Fields of the optional metadata, Table_map_event::Optional_metadata_field_type. */
const FIELD = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setValues: 5,
  enumValues: 6,
  enumAndSetDefaultCharset: 10,
  enumAndSetColumnCharset: 11,
} as const;

const NUMERIC: ReadonlySet<number> = new Set(
  [
    [TYPE.decimal, TYPE.tiny, TYPE.short, TYPE.int24, TYPE.long, TYPE.longlong],
    [TYPE.newdecimal, TYPE.float, TYPE.double, TYPE.year],
  ].flat(),
);
const CHARACTER: ReadonlySet<number> = new Set(
  [
    [TYPE.varchar, TYPE.varString, TYPE.string, TYPE.blobCompressed, TYPE.varcharCompressed],
    [TYPE.blob, TYPE.tinyBlob, TYPE.mediumBlob, TYPE.longBlob],
  ].flat(),
);

/** Which table's columns a table map is of. @throws CorruptEventError */
export function readTableName(
  bytes: Buffer,
  start: number,
  end: number,
): Pick<TableMap, 'tableId' | 'schema' | 'table'> {
  return readNames(new ByteReader(bytes, start, end));
}

function readNames(reader: ByteReader): Pick<TableMap, 'tableId' | 'schema' | 'table'> {
  const tableId = reader.uint(6);
  reader.skip(2);
  const schema = reader.text(reader.uint(1));
  reader.skip(1);
  const table = reader.text(reader.uint(1));
  reader.skip(1);
  return { tableId, schema, table };
}

/**
 * Reads a TABLE_MAP_EVENT between its header and its checksum.
 * Layout: Table_map_event in libs/mysql/binlog/event/rows_event.h.
 * @throws CorruptEventError
 */
export function readTableMap(
  bytes: Buffer,
  start: number,
  end: number,
  flavour: Flavour,
): TableMap {
  const reader = new ByteReader(bytes, start, end);
  const names = readNames(reader);
  const types = [...reader.bytes(reader.lengthCoded())];
  const columns = types.map((type) => ({
    name: '',
    type,
    metadata: 0,
    isUnsigned: false,
    collation: null,
    values: [],
  }));
  const unknownType = readMetadata(reader.part(reader.lengthCoded()), columns);
  if (unknownType !== null) return { ...names, columns: null, unknownType };
  // Whether a column may be NULL.
  reader.skip((columns.length + 7) >> 3);
  const isNamed = readOptional(reader, columns, flavour);
  return { ...names, columns: isNamed ? columns : null, unknownType };
}

/** The type of the first column whose metadata can't be told, or null. */
function readMetadata(reader: ByteReader, columns: MappedColumn[]): number | null {
  for (const column of columns) {
    const length = metadataBytesOf(column.type);
    if (length === null) return column.type;
    if (length === 0) continue;
    const first = reader.uint(1);
    column.metadata = length === 1 ? first : (first << 8) | reader.uint(1);
    // ENUM and SET come as STRING, with their own type before their length.
    if (column.type === TYPE.string && (first === TYPE.enum || first === TYPE.set)) {
      column.type = first;
    }
  }
  return null;
}

/** Whether it named the columns. */
function readOptional(reader: ByteReader, columns: MappedColumn[], flavour: Flavour): boolean {
  const of = (isOne: (type: number) => boolean): MappedColumn[] =>
    columns.filter(({ type }) => isOne(type));
  // MariaDB counts geometries among the columns with a character set (Field_geom::binlog_type_info
  // in sql/sql_type_geom.cc), MySQL 9 vectors.
  const alsoCharacter = flavour === 'mariadb' ? TYPE.geometry : TYPE.vector;
  const characters = of((type) => CHARACTER.has(type) || type === alsoCharacter);
  const enumsAndSets = of((type) => type === TYPE.enum || type === TYPE.set);
  let isNamed = false;
  while (reader.at < reader.end) {
    const field = reader.uint(1);
    const part = reader.part(reader.lengthCoded());
    switch (field) {
      case FIELD.signedness:
        readSignedness(
          part,
          of((type) => NUMERIC.has(type)),
        );
        break;
      case FIELD.defaultCharset:
        readDefaultCharset(part, characters);
        break;
      case FIELD.columnCharset:
        readCharsets(part, characters);
        break;
      case FIELD.enumAndSetDefaultCharset:
        readDefaultCharset(part, enumsAndSets);
        break;
      case FIELD.enumAndSetColumnCharset:
        readCharsets(part, enumsAndSets);
        break;
      case FIELD.columnName:
        for (const column of columns) column.name = part.text(part.lengthCoded());
        isNamed = true;
        break;
      case FIELD.setValues:
        readValues(
          part,
          of((type) => type === TYPE.set),
        );
        break;
      case FIELD.enumValues:
        readValues(
          part,
          of((type) => type === TYPE.enum),
        );
        break;
      default:
        // Keys, visibility, kinds of geometries, and what later servers add.
        continue;
    }
    if (part.at !== part.end) throw new CorruptEventError('a table map says more than it has');
  }
  return isNamed;
}

/** One bit a numeric column, the highest of a byte first. */
function readSignedness(part: ByteReader, numbers: MappedColumn[]): void {
  const bits = part.bytes((numbers.length + 7) >> 3);
  for (const [at, column] of numbers.entries()) {
    column.isUnsigned = ((bits[at >> 3] ?? 0) & (0x80 >> (at & 7))) !== 0;
  }
}

/** One collation for all, then pairs of a column and its own. */
function readDefaultCharset(part: ByteReader, columns: MappedColumn[]): void {
  const collation = part.lengthCoded();
  for (const column of columns) column.collation = collation;
  while (part.at < part.end) {
    const column = columns[part.lengthCoded()];
    if (column === undefined) throw new CorruptEventError('a collation is of no column');
    column.collation = part.lengthCoded();
  }
}

function readCharsets(part: ByteReader, columns: MappedColumn[]): void {
  for (const column of columns) column.collation = part.lengthCoded();
}

function readValues(part: ByteReader, columns: MappedColumn[]): void {
  for (const column of columns) {
    const count = part.lengthCoded();
    const values: Buffer[] = [];
    // A copy: the packet's bytes are used again. A damaged count ends at the part's end.
    while (values.length < count) values.push(Buffer.from(part.bytes(part.lengthCoded())));
    column.values = values;
  }
}

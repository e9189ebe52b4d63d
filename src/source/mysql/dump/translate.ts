import {
  type Unreadable,
  messageColumns,
  unreadableGeometry,
  unreadableVector,
} from '../decode/column-types.ts';
import { shownName } from '../../../model/data-model.ts';
import { DecodedRows } from '../decode/decoded-rows.ts';
import type { EventTimes } from '../decode/event-time.ts';
import type { RowOperation } from '../../port.ts';
import type { CaptureEvent, NamedTable } from './events.ts';
import { parseGtid } from '../gtid.ts';
import { TYPE } from '../decode/mysql-types.ts';
import type { Flavour } from '../position.ts';
import {
  type QueryStatus,
  UNKNOWN_STATUS,
  readQueryStatus,
  readQueryText,
} from './query-status.ts';
import { xidOf } from '../statements/statements.ts';
import {
  type TablePlan,
  isImageWhole,
  missingColumnText,
  planTable,
} from '../decode/table-plan.ts';

/**
 * The parts of zongji's events that are read (its index.d.ts and lib/). Each is there on the
 * types that it stands under only.
 */
export interface ZongjiEvent {
  getTypeName(): string;
  /** Epoch ms, whole seconds. */
  timestamp: number;
  nextPosition: number;
  gtid: string;
  // TableMap
  tableId: number;
  schemaName: string;
  tableName: string;
  columnTypes: readonly number[];
  tableMap: Readonly<Record<number, { columns?: { name: string; type: number }[] }>>;
  hasSelfDescribingMetadata: () => boolean;
  /** As the table had them when the event was written; undefined where it does not say. */
  columnNames: readonly string[] | undefined;
  // Rows
  rows: readonly unknown[];
  columns_present_bitmap: Uint8Array;
  columns_present_bitmap2: Uint8Array;
  // Query
  schema: string;
  query: string;
  // MariadbGtid
  standalone: boolean | undefined;
  preparedXa: boolean | undefined;
  // XaPrepare
  onePhase: boolean;
  xidFormatId: number;
  xidGtrid: Buffer;
  xidBqual: Buffer;
}

type Tables = readonly NamedTable[];

/**
 * Turns zongji's events into ours, one by one and in order. It gets only those that RawEvents leaves
 * to it: tagged GTIDs, XA, statements, and rows of tables with rarer types.
 */
export class Translator {
  #file = '';
  /** The packet whose event comes next, without its checksum. */
  packet: { buffer: Buffer; offset: number; end: number } | null = null;
  readonly #tables: Tables;
  readonly #times: EventTimes;
  readonly #emit: (event: CaptureEvent) => void;
  /** By table id, which a table keeps until its definition changes. */
  readonly #plans = new Map<number, TablePlan>();
  readonly #isMariadb: boolean;

  constructor(
    tables: Tables,
    flavour: Flavour,
    times: EventTimes,
    emit: (event: CaptureEvent) => void,
  ) {
    this.#tables = tables;
    this.#isMariadb = flavour === 'mariadb';
    this.#times = times;
    this.#emit = emit;
  }

  /** The log file that events are of now. */
  get file(): string {
    return this.#file;
  }

  set file(file: string) {
    this.#file = file;
    // The server begins every dump with one; its own restart makes table ids start anew.
    this.#plans.clear();
  }

  translate(event: ZongjiEvent): void {
    const { file } = this;
    const position = event.nextPosition;
    switch (event.getTypeName()) {
      case 'WriteRows':
        return this.#rows(event, 'insert');
      case 'UpdateRows':
        return this.#rows(event, 'update');
      case 'DeleteRows':
        return this.#rows(event, 'delete');
      case 'TableMap':
        return this.#tableMap(event);
      case 'Gtid':
      case 'MariadbGtid':
        return this.#begin(event);
      case 'Query':
        return this.#emit({
          kind: 'statement',
          schema: event.schema,
          ...this.#statementOf(event),
          file,
          position,
        });
      case 'XaPrepare': {
        if (event.onePhase) return this.#emit({ kind: 'end', file, position });
        const xid = xidOf(event.xidFormatId, event.xidGtrid, event.xidBqual);
        return this.#emit({ kind: 'prepare', xid, file, position });
      }
      case 'Heartbeat':
        return this.#emit({ kind: 'heartbeat' });
    }
  }

  #statementOf({ query }: ZongjiEvent): { text: string; status: QueryStatus } {
    if (this.packet === null) return { text: query, status: UNKNOWN_STATUS };
    const { buffer, offset, end } = this.packet;
    const text = readQueryText(buffer, offset, end) ?? query;
    return { text, status: readQueryStatus(buffer, offset, end) };
  }

  #begin(event: ZongjiEvent): void {
    this.#emit({
      kind: 'begin',
      gtid: parseGtid(event.gtid),
      commitMs: null,
      seconds: event.timestamp / 1000,
      // MariaDB writes no BEGIN: its GTID event says whether a commit will follow.
      isOpen: event.standalone === false,
      isXa: event.preparedXa === true,
      file: this.file,
      position: event.nextPosition,
    });
  }

  #tableMap(event: ZongjiEvent): void {
    const tableId = event.tableId;
    if (this.#plans.has(tableId)) return;
    const { schemaName, tableName } = event;
    const known = this.#tables.find(
      ({ schema, name }) => schema === schemaName && name === tableName,
    );
    if (known === undefined) return;
    const unreadable = this.#unreadableColumn(event, known);
    if (unreadable !== null) {
      return this.#unreadable(`${unreadable.detail}; ${unreadable.fix}`);
    }
    if (!event.hasSelfDescribingMetadata()) {
      return this.#unreadable(
        `the binlog does not name the columns of ${known.name}; set binlog_row_metadata=FULL on the server`,
      );
    }
    const columns = event.tableMap[tableId]?.columns ?? [];
    // zongji takes the columns from information_schema, as they are now, where a MariaDB table has
    // temporal columns of the form before 10.1.
    if (!columns.every(({ name }, at) => name === event.columnNames?.[at])) {
      return this.#unreadable(
        `the columns of ${known.name} were changed before its rows were read, and its temporal columns have MariaDB's old form; run ALTER TABLE ${shownName(known.name, known.table)} FORCE with mysql56_temporal_format=ON`,
      );
    }
    const plan = planTable(known, columns);
    if ('missing' in plan) {
      return this.#unreadable(missingColumnText(known.name, plan));
    }
    this.#plans.set(tableId, plan);
  }

  #unreadableColumn(event: ZongjiEvent, known: NamedTable): Unreadable | null {
    const { columnTypes, columnNames = [] } = event;
    if (columnTypes.includes(TYPE.vector)) return unreadableVector(known.name, null);
    if (!this.#isMariadb || known.table !== 'page_views') return null;
    const texts = messageColumns(known, 'texts');
    const last = columnNames.findLastIndex((name) => texts.has(name.toLowerCase()));
    const geometry = columnTypes.indexOf(TYPE.geometry);
    if (geometry < 0 || geometry > last) return null;
    return unreadableGeometry(known.name, columnNames[geometry] ?? '', columnNames[last] ?? '');
  }

  #rows(event: ZongjiEvent, operation: RowOperation): void {
    const plan = this.#plans.get(event.tableId);
    if (plan === undefined) return;
    const isWhole =
      isImageWhole(plan, event.columns_present_bitmap) &&
      (operation !== 'update' || isImageWhole(plan, event.columns_present_bitmap2));
    if (!isWhole) {
      return this.#unreadable(
        `the binlog does not hold the whole rows of ${plan.name}; set binlog_row_image=FULL on the server, and let no session set another`,
      );
    }
    const { table, columns } = plan;
    const rows = new DecodedRows(event.rows, operation, columns, this.#times);
    this.#emit({ kind: 'rows', table, operation, rows });
  }

  #unreadable(sentence: string): void {
    this.#emit({ kind: 'unreadable', sentence });
  }
}

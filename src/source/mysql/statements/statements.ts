import { type DataModel, tableNamed } from '../../../model/data-model.ts';
import { type QueryStatus, UNKNOWN_STATUS } from '../dump/query-status.ts';
import { type Token, type TableName, isWord, nameAt, namesIn, tokenize } from './sql-tokens.ts';
import { type Defined, readDefinition } from './definitions.ts';

/** What a statement in the binlog is to us. */
export type StatementKind =
  /** Whatever does not concern our tables. */
  | { kind: 'other' }
  | { kind: 'begin' }
  | { kind: 'end'; isCommitted: boolean }
  | { kind: 'savepoint'; name: string }
  | { kind: 'rollback-to'; name: string }
  | { kind: 'xa'; isCommitted: boolean; xid: string }
  /** Rows of our tables written as SQL text (STATEMENT format): they cannot be captured. */
  | { kind: 'rows-as-text'; table: string }
  | { kind: 'truncate'; table: string }
  /** `mayChangeRows`: whether the rule may find other values than before. */
  | { kind: 'ddl'; table: string; mayChangeRows: boolean }
  /** It may have changed rows of our tables, by a trigger, a function or a view say. */
  | { kind: 'doubt' };

/** Tables whose definitions and rows matter. */
export interface Watched {
  /** The captured database. */
  database: string;
  /** What our tables and columns are called in it. */
  model: DataModel;
  /** Tables beside ours whose changes change ours; by schema and name. */
  parents: readonly { schema: string; name: string }[];
}

const OTHER: StatementKind = { kind: 'other' };

/** A statement is looked at up to here: the names come first, and one may be megabytes long. */
const LOOKED_AT_CHARACTERS_MAX = 64 * 1024;

/**
 * The name of an XA transaction as both its events can spell it: format id, and the two parts in
 * hexadecimal. The log writes `XA COMMIT X'6162',X'',1`.
 */
export function xidOf(formatId: number, gtrid: Buffer, bqual: Buffer): string {
  return `${formatId}:${gtrid.toString('hex')}:${bqual.toString('hex')}`;
}

function xaDecision(text: string): StatementKind {
  const match = /^XA\s+(COMMIT|ROLLBACK)\s+X'([0-9a-f]*)',\s*X'([0-9a-f]*)',\s*(\d+)/i.exec(text);
  if (match === null) return OTHER;
  const [, verb = '', gtrid = '', bqual = '', formatId = ''] = match;
  const xid = `${formatId}:${gtrid.toLowerCase()}:${bqual.toLowerCase()}`;
  return { kind: 'xa', isCommitted: verb.toUpperCase() === 'COMMIT', xid };
}

/** What the server itself writes at the edges of transactions; null where it is none of that. */
function transactionMark(text: string): StatementKind | null {
  const head = text.slice(0, 16).trimStart().toUpperCase();
  if (head === 'BEGIN' || head.startsWith('START TRANSAC')) return { kind: 'begin' };
  if (head === 'COMMIT' || head === 'ROLLBACK') {
    return { kind: 'end', isCommitted: head === 'COMMIT' };
  }
  const savepoint = /^\s*(SAVEPOINT|ROLLBACK TO)\s+(?:SAVEPOINT\s+)?([^]+)$/i.exec(text);
  if (savepoint !== null) {
    const [, verb = '', name = ''] = savepoint;
    const kind = verb.toUpperCase() === 'SAVEPOINT' ? 'savepoint' : 'rollback-to';
    return {
      kind,
      name: name
        .trim()
        .replace(/^["`]|["`]$/g, '')
        .toLowerCase(),
    };
  }
  if (!head.startsWith('XA ')) return null;
  return head.startsWith('XA START') || head.startsWith('XA BEGIN')
    ? { kind: 'begin' }
    : xaDecision(text.trimStart());
}

/** Statements that change no row of any table, whatever they name. */
const HARMLESS =
  'GRANT REVOKE FLUSH ANALYZE OPTIMIZE CHECK CHECKSUM SET RESET INSTALL UNINSTALL RELEASE USE LOCK UNLOCK KILL PURGE BACKUP'.split(
    ' ',
  );

/** A table that is watched: how it is told of, and whether it is ours or a parent. */
interface WatchedTable {
  name: string;
  isOurs: boolean;
}

function watchedTable(
  { schema, name }: TableName,
  defaultSchema: string,
  { database, model, parents }: Watched,
): WatchedTable | null {
  const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
  const ofSchema = schema ?? defaultSchema;
  if (isSame(ofSchema, database)) {
    const table = tableNamed(model, name);
    if (table !== null) return { name: model.tables[table], isOurs: true };
  }
  const parent = parents.find((one) => isSame(one.schema, ofSchema) && isSame(one.name, name));
  return parent === undefined ? null : { name: `${parent.schema}.${parent.name}`, isOurs: false };
}

/** The first of these names that is watched. */
function firstWatched(
  names: readonly TableName[],
  defaultSchema: string,
  watched: Watched,
): WatchedTable | null {
  for (const name of names) {
    const found = watchedTable(name, defaultSchema, watched);
    if (found !== null) return found;
  }
  return null;
}

/**
 * Reads a statement of the log. `schema` is its default database. Whatever is not recognised, and
 * may have changed rows of ours, is `doubt`: this is never wrong, and costs a look at everyone.
 */
export function readStatement(
  text: string,
  schema: string,
  watched: Watched,
  status: QueryStatus = UNKNOWN_STATUS,
): StatementKind {
  const mark = transactionMark(text);
  if (mark !== null) return mark;
  const { tokens, hasVersionComment } = tokenize(text.slice(0, LOOKED_AT_CHARACTERS_MAX), status);
  const [verb] = tokens;
  // MariaDB puts a comment in the place of an event that we would not know.
  if (verb === undefined || isWord(verb, ...HARMLESS)) return OTHER;
  const defined = readDefinition(tokens, watched.model);
  if (defined !== null) return definition(defined, tokens, hasVersionComment, schema, watched);
  const target = firstWatched(targetsOf(tokens), schema, watched);
  // A parent's rows as text are as good as its rows: they say that it was changed.
  if (target?.isOurs === true) return { kind: 'rows-as-text', table: target.name };
  return writesElsewhere(status, watched) ? OTHER : { kind: 'doubt' };
}

function definition(
  defined: Defined,
  tokens: readonly Token[],
  hasVersionComment: boolean,
  schema: string,
  watched: Watched,
): StatementKind {
  const { what, schemas, mayChangeRows } = defined;
  if (what === 'nothing') return OTHER;
  const isOurs = (one: string): boolean =>
    [watched.database, ...watched.parents.map((parent) => parent.schema)].some(
      (other) => other.toLowerCase() === one.toLowerCase(),
    );
  const dropped = schemas.find(isOurs);
  if (dropped !== undefined) {
    return { kind: 'ddl', table: `the database ${dropped}`, mayChangeRows: true };
  }
  // What a server makes of such a comment depends on its version: every name may be the one.
  const names = hasVersionComment ? namesIn(tokens, 0, tokens.length) : defined.names;
  const table = firstWatched(names, schema, watched);
  if (table === null) return OTHER;
  if (what === 'truncate' && table.isOurs) return { kind: 'truncate', table: table.name };
  return { kind: 'ddl', table: table.name, mayChangeRows };
}

/** The tables that a statement writes to, as far as its text says; joined ones count as well. */
function targetsOf(tokens: readonly Token[]): TableName[] {
  const indexOf = (...words: string[]): number => {
    const at = tokens.findIndex((token) => isWord(token, ...words));
    return at < 0 ? tokens.length : at;
  };
  const [verb] = tokens;
  if (isWord(verb, 'INSERT', 'REPLACE')) {
    const at = tokens.findIndex((token, index) => index > 0 && !isWord(token, ...MODIFIERS));
    const found = nameAt(tokens, at);
    return found === null ? [] : [found.table];
  }
  if (isWord(verb, 'UPDATE')) return namesIn(tokens, 1, indexOf('SET'));
  if (isWord(verb, 'DELETE')) return namesIn(tokens, 1, indexOf('WHERE', 'ORDER', 'LIMIT'));
  if (isWord(verb, 'LOAD', 'WITH')) return namesIn(tokens, 1, tokens.length);
  return [];
}

const MODIFIERS = ['LOW_PRIORITY', 'HIGH_PRIORITY', 'DELAYED', 'IGNORE', 'INTO'];

/** MySQL names the databases that a statement wrote to, through whatever it did so. */
function writesElsewhere({ updatedDatabases }: QueryStatus, watched: Watched): boolean {
  if (updatedDatabases === null) return false;
  const written = new Set(updatedDatabases.map((name) => name.toLowerCase()));
  const ours = [watched.database, ...watched.parents.map(({ schema }) => schema)];
  return !ours.some((name) => written.has(name.toLowerCase()));
}

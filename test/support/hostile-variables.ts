import type { Connection } from 'mysql2/promise';
import type { Flavour } from '../../tools/services/services.ts';

/** One server variable that every session has of its own. */
export interface SessionVariable {
  name: string;
  kind: 'boolean' | 'number' | 'choice' | 'text';
  min: string;
  max: string;
}

/** Which end of each range is set. */
export type End = 'lowest' | 'highest';

/**
 * Left as they are: what no session can set (the first two), what capture needs of the server as
 * such and refuses in words, what is there for the server's own developers, and what ends MariaDB
 * by itself at the next connection (the last ones).
 */
const LEFT = new Set([
  'max_allowed_packet',
  'net_buffer_length',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'binlog_transaction_compression',
  'server_id',
  'debug',
  'debug_sync',
  'query_alloc_block_size',
  'query_prealloc_size',
  'transaction_alloc_block_size',
  'transaction_prealloc_size',
]);

/**
 * Other ends than the server's own: the lowest leaves no room for any statement of some length, the
 * highest is read with a sign, and ends the server at some later connection.
 */
const ENDS: Readonly<Record<End, Readonly<Record<string, string>>>> = {
  lowest: { max_session_mem_used: '131072' },
  highest: { max_session_mem_used: '9223372036854775807' },
};

/** Texts that are worth trying, at either end; the others have no meaning to set. */
const TEXTS: Readonly<Record<End, Readonly<Record<string, readonly string[]>>>> = {
  lowest: {
    time_zone: ["'-12:00'"],
    sql_mode: ["''"],
    character_set_client: ["'latin1'"],
    character_set_connection: ["'latin1'"],
    character_set_results: ["'latin1'"],
    collation_connection: ["'latin1_bin'"],
    lc_messages: ["'de_DE'"],
    lc_time_names: ["'ja_JP'"],
  },
  highest: {
    time_zone: ["'+13:00'"],
    sql_mode: [
      "'ORACLE,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,EMPTY_STRING_IS_NULL,STRICT_ALL_TABLES,NO_UNSIGNED_SUBTRACTION'",
      "'ANSI,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,STRICT_ALL_TABLES,TIME_TRUNCATE_FRACTIONAL,NO_UNSIGNED_SUBTRACTION'",
    ],
    character_set_client: ["'cp1251'"],
    character_set_connection: ["'utf16'"],
    character_set_results: ["'utf16'"],
    collation_connection: ["'utf16_bin'"],
    lc_messages: ["'ja_JP'"],
    lc_time_names: ["'ar_AE'"],
  },
};

const KINDS: Readonly<Record<string, SessionVariable['kind']>> = {
  boolean: 'boolean',
  integer: 'number',
  numeric: 'number',
  'bigint unsigned': 'number',
  'bigint signed': 'number',
  'int unsigned': 'number',
  int: 'number',
  double: 'number',
  enumeration: 'choice',
  enum: 'choice',
};

/** All that the server knows, by its own lists. */
export async function sessionVariables(
  connection: Connection,
  flavour: Flavour,
): Promise<SessionVariable[]> {
  const sql =
    flavour === 'mysql'
      ? `SELECT variable_name AS name, data_type AS kind, min_value AS low, max_value AS high
         FROM performance_schema.variables_metadata WHERE variable_scope = 'SESSION'`
      : `SELECT variable_name AS name, variable_type AS kind, numeric_min_value AS low,
                numeric_max_value AS high
         FROM information_schema.SYSTEM_VARIABLES WHERE variable_scope = 'SESSION'`;
  const [rows] = await connection.query(sql);
  return (rows as Record<string, string | null>[])
    .map(({ name, kind, low, high }) => ({
      name: String(name).toLowerCase(),
      kind: KINDS[String(kind).toLowerCase()] ?? ('text' as const),
      min: low ?? '',
      max: high ?? '',
    }))
    .filter(({ name }) => !LEFT.has(name));
}

function valuesOf({ name, kind, min, max }: SessionVariable, end: End): readonly string[] {
  const known = TEXTS[end][name];
  if (known !== undefined) return known;
  if (kind === 'boolean') return [end === 'lowest' ? '0' : '1'];
  if (kind === 'choice') return end === 'lowest' ? ['0'] : ['5', '4', '3', '2', '1'];
  if (kind === 'number')
    return [ENDS[end][name] ?? (end === 'lowest' ? min : max)].filter((value) => value !== '');
  return [];
}

/** Every switch of the optimizer the other way. */
async function flipOptimizer(connection: Connection): Promise<void> {
  const [[row]] = (await connection.query(
    'SELECT @@GLOBAL.optimizer_switch AS flags',
  )) as never as [{ flags: string }[]];
  for (const flag of (row?.flags ?? '').split(',')) {
    const [name, value] = flag.split('=');
    const other = value === 'on' ? 'off' : 'on';
    await connection
      .query(`SET GLOBAL optimizer_switch = '${name}=${other}'`)
      .catch(() => undefined);
  }
}

/**
 * Sets every one of them globally, as far as the server lets it be set, so that each new session
 * begins with it. Returns the names of those that were set.
 */
export async function setAll(
  connection: Connection,
  variables: readonly SessionVariable[],
  end: End,
): Promise<string[]> {
  const names: string[] = [];
  for (const variable of variables) {
    for (const value of valuesOf(variable, end)) {
      const isSet = await connection.query(`SET GLOBAL ${variable.name} = ${value}`).then(
        () => true,
        () => false,
      );
      if (!isSet) continue;
      names.push(variable.name);
      break;
    }
  }
  await flipOptimizer(connection);
  return names;
}

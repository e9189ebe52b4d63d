/** What a statement in the binlog is to us. */
export type StatementKind =
  /** Whatever does not concern our tables. */
  | { kind: 'other' }
  | { kind: 'begin' }
  | { kind: 'end'; isCommitted: boolean }
  | { kind: 'savepoint'; name: string }
  | { kind: 'rollback-to'; name: string }
  | { kind: 'xa'; isCommitted: boolean; xid: string }
  /** Rows of our tables written as SQL text (STATEMENT format): they can not be captured. */
  | { kind: 'rows-as-text'; table: string }
  | { kind: 'truncate'; table: string }
  /** `mayChangeRows`: whether the rule may find other values than before. */
  | { kind: 'ddl'; table: string; mayChangeRows: boolean };

const OTHER: StatementKind = { kind: 'other' };
const TABLES = ['customers', 'page_views'];

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

/** Comments and string literals hold no names of tables. */
function withoutTexts(text: string): string {
  return text
    .replace(/\/\*(?![!M])[\s\S]*?\*\//g, ' ')
    .replace(/'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"/g, "''");
}

/** The captured table that the statement names, in the captured database. */
function namedTable(text: string, schema: string, database: string): string | null {
  const escaped = database.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  for (const table of TABLES) {
    const name = String.raw`\x60?\b${table}\b\x60?(?!\s*\.)`;
    const qualified = new RegExp(String.raw`(?<![\w$])\x60?${escaped}\x60?\s*\.\s*${name}`, 'i');
    if (qualified.test(text)) return table;
    const bare = new RegExp(String.raw`(?<![\w$.\x60])${name}|(?<!\.\s*)\x60${table}\x60`, 'i');
    if (schema.toLowerCase() === database.toLowerCase() && bare.test(text)) return table;
  }
  return null;
}

/** Reads a statement of the log. `schema` is its default database, `database` the captured one. */
export function readStatement(text: string, schema: string, database: string): StatementKind {
  const head = text.slice(0, 16).trimStart().toUpperCase();
  if (head === 'BEGIN' || head.startsWith('START TRANSAC')) return { kind: 'begin' };
  if (head === 'COMMIT' || head === 'ROLLBACK') {
    return { kind: 'end', isCommitted: head === 'COMMIT' };
  }
  const savepoint = /^\s*(SAVEPOINT|ROLLBACK TO)\s+(?:SAVEPOINT\s+)?([^]+)$/i.exec(text);
  if (savepoint !== null) {
    const [, verb = '', name = ''] = savepoint;
    const kind = verb.toUpperCase() === 'SAVEPOINT' ? 'savepoint' : 'rollback-to';
    return { kind, name: name.trim().replaceAll('`', '').toLowerCase() };
  }
  if (head.startsWith('XA ')) {
    return head.startsWith('XA START') || head.startsWith('XA BEGIN')
      ? { kind: 'begin' }
      : xaDecision(text.trimStart());
  }
  const looked = withoutTexts(text.slice(0, LOOKED_AT_CHARACTERS_MAX)).trimStart();
  const verb = /^(?:\/\*[!M]\d*\s*)?([a-z]+)/i.exec(looked)?.[1]?.toUpperCase() ?? '';
  const isRows = ['INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'LOAD', 'WITH'].includes(verb);
  const isDdl = ['TRUNCATE', 'DROP', 'ALTER', 'RENAME', 'CREATE'].includes(verb);
  if (!isRows && !isDdl) return OTHER;
  // A definition may copy or refer to our tables: the first name is the one that it defines.
  const named = isDdl ? (looked.split(/\(|\b(?:LIKE|SELECT|REFERENCES)\b/i, 1)[0] ?? '') : looked;
  const table = namedTable(named, schema, database);
  if (table === null) return OTHER;
  if (isRows) return { kind: 'rows-as-text', table };
  if (verb === 'TRUNCATE') return { kind: 'truncate', table };
  return { kind: 'ddl', table, mayChangeRows: mayChangeRows(verb, looked) };
}

/** Definitions of indexes, whose columns keep what they have. */
const INDEXES = /\bADD\s+(?:UNIQUE\s+|FULLTEXT\s+)?(?:INDEX|KEY)\b[^(]*\([^)]*\)/gi;
/** Columns that the rule and the payloads have, and clauses that bring in other rows or texts. */
const CONCERNING =
  /\b(?:id|email|first_name|last_name|plan_type|candidate|user_id|page|device|location|event_time|RENAME|EXCHANGE|IMPORT|CONVERT|PARTITION)\b/i;

/**
 * A table may come under our name with rows that were logged under another one, and a column may
 * be given other values by its definition: the log has no row of that.
 */
function mayChangeRows(verb: string, text: string): boolean {
  if (verb === 'RENAME') return true;
  return verb === 'ALTER' && CONCERNING.test(text.replace(INDEXES, ''));
}

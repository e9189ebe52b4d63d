import { OUR_TABLES } from '../../../model/columns.ts';
import { type DataModel, valueColumns } from '../../../model/data-model.ts';
import { type TableName, type Token, isSign, isWord, nameAt, namesIn } from './sql-tokens.ts';

/** What a definition (DDL) is about. */
export interface Defined {
  what: 'nothing' | 'truncate' | 'table';
  /** Tables that it makes, changes, drops or brings under a name. */
  names: readonly TableName[];
  /** Databases that it drops. */
  schemas: readonly string[];
  /** Whether the rows of such a table may be others, or have other values, than before. */
  mayChangeRows: boolean;
}

const VERBS = ['CREATE', 'ALTER', 'DROP', 'RENAME', 'TRUNCATE', 'REPAIR'];
/** What a definition may be of; the first of these words says it. */
const OBJECTS = ['TABLE', 'TABLES', 'VIEW', 'INDEX', 'SEQUENCE', 'DATABASE', 'SCHEMA'];
/** Their bodies name tables, and change none. TABLESPACEs and the like hold no rows by name. */
const OTHER_OBJECTS =
  'PROCEDURE FUNCTION TRIGGER EVENT PACKAGE USER ROLE SERVER INSTANCE LOGFILE TABLESPACE RESOURCE SPATIAL LIBRARY CATALOG'.split(
    ' ',
  );

const NOTHING: Defined = { what: 'nothing', names: [], schemas: [], mayChangeRows: false };

const table = (names: readonly TableName[], mayChangeRows: boolean): Defined => ({
  what: 'table',
  names,
  schemas: [],
  mayChangeRows,
});

/** Reads a definition; null where the statement is none. */
export function readDefinition(tokens: readonly Token[], model: DataModel): Defined | null {
  const [verb] = tokens;
  if (!isWord(verb, ...VERBS)) return null;
  if (isWord(verb, 'TRUNCATE')) {
    const names = listedAt(tokens, isWord(tokens[1], 'TABLE') ? 2 : 1);
    return { ...table(names, true), what: 'truncate' };
  }
  const at = tokens.findIndex((token) => isWord(token, ...OBJECTS, ...OTHER_OBJECTS));
  const object = tokens[at];
  if (isWord(object, ...OTHER_OBJECTS)) return NOTHING;
  if (object === undefined) return table(namesIn(tokens, 1, tokens.length), true);
  // Of one session alone, which nobody else sees.
  if (tokens.slice(0, at).some((token) => isWord(token, 'TEMPORARY'))) return NOTHING;
  const from = afterIfExists(tokens, at + 1);
  if (isWord(object, 'DATABASE', 'SCHEMA')) {
    const name = nameAt(tokens, from)?.table.name;
    if (!isWord(verb, 'DROP') || name === undefined) return NOTHING;
    return { what: 'table', names: [], schemas: [name], mayChangeRows: true };
  }
  if (isWord(object, 'INDEX')) {
    const on = tokens.findIndex((token, index) => index > at && isWord(token, 'ON'));
    return table(on < 0 ? [] : listedAt(tokens, on + 1), false);
  }
  if (isWord(verb, 'CREATE')) return table(listedAt(tokens, from).slice(0, 1), true);
  if (isWord(verb, 'DROP')) return table(listedAt(tokens, from), false);
  // RENAME a TO b, c TO d; REPAIR may leave rows out.
  if (!isWord(verb, 'ALTER')) return table(namesIn(tokens, from, tokens.length), true);
  return altered(tokens, from, model);
}

function afterIfExists(tokens: readonly Token[], from: number): number {
  if (!isWord(tokens[from], 'IF')) return from;
  return from + (isWord(tokens[from + 1], 'NOT') ? 3 : 2);
}

/** `a, b.c, d`. */
function listedAt(tokens: readonly Token[], from: number): TableName[] {
  const names: TableName[] = [];
  for (let at = from; ;) {
    const found = nameAt(tokens, at);
    if (found === null) return names;
    names.push(found.table);
    if (!isSign(tokens[found.after], ',')) return names;
    at = found.after + 1;
  }
}

/** The table itself, the name that it is given, and the one that a partition comes from or goes to. */
function altered(tokens: readonly Token[], from: number, model: DataModel): Defined {
  const names = listedAt(tokens, from).slice(0, 1);
  tokens.forEach((token, at) => {
    if (at <= from) return;
    const isRename = isWord(token, 'RENAME') && !isWord(tokens[at + 1], ...RENAMED_PARTS);
    const isTable = isWord(token, 'TABLE') && isWord(tokens[at - 1], 'WITH', 'CONVERT', 'TO');
    if (!isRename && !isTable) return;
    const isLinked = isWord(tokens[at + 1], 'TO', 'AS') || isSign(tokens[at + 1], '=');
    const found = nameAt(tokens, at + (isLinked ? 2 : 1));
    if (found !== null) names.push(found.table);
  });
  return table(names, CONCERNING.test(textOf(tokens, model).replace(INDEXES, '')));
}

const RENAMED_PARTS = ['COLUMN', 'INDEX', 'KEY'];
/** Definitions of indexes, whose columns keep what they have. */
const INDEXES = /\bADD\s+(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?(?:INDEX|KEY)\b[^(]*\([^)]*\)/gi;
/** What stands for a column that the rule and the payloads have, in the text of a definition. */
const OUR_COLUMN = '\ue000';
/**
 * Such columns; clauses that bring in other rows or texts, or that change where rows are kept, or
 * which other tables they hang on.
 */
const CONCERNING =
  /\ue000|\b(?:RENAME|EXCHANGE|IMPORT|DISCARD|CONVERT|PARTITION|FOREIGN|REFERENCES|CONSTRAINT|VERSIONING|UNION|CONNECTION)\b|\bENGINE\s*=?\s*(?!InnoDB\b|MyISAM\b|Aria\b)\w/i;

/** Without what stands in strings and comments. */
function textOf(tokens: readonly Token[], model: DataModel): string {
  const columns = OUR_TABLES.map((table) => valueColumns(model, table));
  return tokens
    .map((token) => {
      if (token.kind === 'string') return "''";
      if (columns.some((names) => names.has(token.text.toLowerCase()))) return OUR_COLUMN;
      return token.kind === 'name' ? `\`${token.text}\`` : token.text;
    })
    .join(' ');
}

import { COLUMNS, OUR_TABLES, type OurTable, roleText, rolesOf } from './columns.ts';
import { type ColumnNames, DEFAULT_MODEL, type FieldSetting, isSameColumn } from './data-model.ts';

/** A value, or why it cannot be one; a sentence without the setting's name. */
export type Parsed<T = unknown> = { value: T } | { problem: string };

/** As MySQL and MariaDB have it: https://dev.mysql.com/doc/refman/9.4/en/identifiers.html */
const NAME_CHARACTERS_MAX = 64;

/** A name as it was written: in backticks (doubled within them), or bare. */
interface Written {
  text: string;
  isQuoted: boolean;
}

interface Part {
  /** As it was written. */
  source: string;
  names: readonly Written[];
}

/** Names with `separator` between them, and commas between parts. A bare name holds neither. */
function readParts(raw: string, separator: '=' | ':'): Parsed<Part[]> {
  const name = new RegExp(
    String.raw`\s*(?:\x60((?:[^\x60]|\x60\x60)*)\x60|([^,${separator}\x60][^,${separator}]*?|))\s*([,${separator}]|$)`,
    'uy',
  );
  const parts: Part[] = [];
  let names: Written[] = [];
  let partAt = 0;
  for (;;) {
    const found = name.exec(raw);
    if (found === null) {
      const problem = `${shown(raw.slice(partAt).trim())} cannot be read: a name with a comma, ${JSON.stringify(separator)} or a backtick at its start stands in backticks`;
      return { problem };
    }
    const [, inQuotes, bare = '', end = ''] = found;
    names.push({
      text: inQuotes?.replaceAll('``', '`') ?? bare,
      isQuoted: inQuotes !== undefined,
    });
    if (end === separator) continue;
    const isLast = end === '';
    const source = raw.slice(partAt, isLast ? raw.length : name.lastIndex - 1).trim();
    // A comma at the end, or two in a row.
    if (source !== '') parts.push({ source, names });
    if (isLast) break;
    names = [];
    partAt = name.lastIndex;
  }
  return parts.length === 0 ? { problem: 'none is named' } : { value: parts };
}

/** Why no table or column can have this name; null: one can. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'the name is empty';
  if (name.length > NAME_CHARACTERS_MAX) {
    return `${shown(name)} is longer than the ${NAME_CHARACTERS_MAX} characters of a name`;
  }
  if (name.endsWith(' ')) return `${shown(name)} ends with a blank, as no name does`;
  if (/[\0\u{10000}-\u{10ffff}]/u.test(name) || !name.isWellFormed()) {
    return `${shown(name)} has a character that MySQL takes in no name`;
  }
  return null;
}

/** A part of a setting, as a sentence has it. */
function shown(text: string): string {
  const isLong = text.length > NAME_CHARACTERS_MAX;
  return JSON.stringify(isLong ? `${text.slice(0, NAME_CHARACTERS_MAX)}…` : text);
}

const ROLES: readonly string[] = COLUMNS.map(({ table, role }) => roleText(table, role));

/** The role, of the one table that has it; a sentence where there is none, or two. */
function roleOf(text: string): { table: OurTable; role: string } | { problem: string } {
  const lower = text.toLowerCase();
  const found = COLUMNS.filter(({ table, role }) => role === lower || `${table}.${role}` === lower);
  const [only] = found;
  if (only === undefined)
    return { problem: `there is no role ${shown(text)}; the roles are ${ROLES.join(', ')}` };
  if (found.length === 1) return { table: only.table, role: only.role };
  const both = found.map(({ table, role }) => `${table}.${role}`).join(' or ');
  return { problem: `both tables have the role ${only.role}: say ${both}` };
}

/** Why one part of COLUMN_NAMES cannot be; else its role and name are in `given`. */
function takeName({ source, names }: Part, given: Map<string, string>): string | null {
  const part = shown(source);
  const [role, name] = names;
  if (role === undefined || name === undefined || names.length > 2) {
    return `${part} is not role=name`;
  }
  const found = roleOf(role.text);
  if ('problem' in found) {
    return `in ${part}, ${found.problem}`;
  }
  const problem = nameProblem(name.text);
  if (problem !== null) return `in ${part}, ${problem}`;
  const key = `${found.table}.${found.role}`;
  if (given.has(key)) return `${part} names the role ${key} a second time`;
  given.set(key, name.text);
  return null;
}

/** `role=name,…`: the names of all roles, with the default where none is given. */
export function parseColumnNames(raw: string): Parsed<ColumnNames> {
  const parts = readParts(raw, '=');
  if ('problem' in parts) return parts;
  const given = new Map<string, string>();
  for (const part of parts.value) {
    const problem = takeName(part, given);
    if (problem !== null) return { problem };
  }
  const namesIn = (table: OurTable): Record<string, string> =>
    Object.fromEntries(rolesOf(table).map((role) => [role, given.get(`${table}.${role}`) ?? role]));
  const value = {
    customers: { ...DEFAULT_MODEL.columns.customers, ...namesIn('customers') },
    page_views: { ...DEFAULT_MODEL.columns.page_views, ...namesIn('page_views') },
  };
  const twice = sharedName(value, given);
  return twice === null ? { value } : { problem: twice };
}

/** Two roles with one column; a role that is only in fields may be no column at all. */
function sharedName(names: ColumnNames, given: ReadonlyMap<string, string>): string | null {
  for (const table of OUR_TABLES) {
    const always: readonly string[] = rolesOf(table, 'message', 'rule', 'call');
    const inUse = Object.entries<string>(names[table]).filter(
      ([role]) => given.has(`${table}.${role}`) || always.includes(role),
    );
    for (const [at, [role, name]] of inUse.entries()) {
      const other = inUse.slice(0, at).find(([, before]) => isSameColumn(before, name));
      if (other !== undefined) {
        return `${table}.${other[0]} and ${table}.${role} have one name, ${shown(name)}`;
      }
    }
  }
  return null;
}

/** `column` or `column:fieldName`, …; `reserved` is the field that is always there. */
export function parseFields(raw: string, reserved: string): Parsed<FieldSetting[]> {
  const parts = readParts(raw, ':');
  if ('problem' in parts) return parts;
  const fields: FieldSetting[] = [];
  for (const { source, names } of parts.value) {
    const part = shown(source);
    const [column, name] = names;
    if (column === undefined || names.length > 2) {
      return { problem: `${part} is neither column nor column:fieldName` };
    }
    const problem = nameProblem(column.text);
    if (problem !== null) return { problem: `in ${part}, ${problem}` };
    const field = (name ?? column).text;
    if (field === '') return { problem: `in ${part}, the name of the field is empty` };
    if (field === reserved) {
      return { problem: `in ${part}, the field ${reserved} is always there: take another name` };
    }
    if (fields.some((other) => other.field === field)) {
      return { problem: `${part} names the field ${shown(field)} a second time` };
    }
    fields.push({ column: column.text, isExact: column.isQuoted, field });
  }
  return { value: fields };
}

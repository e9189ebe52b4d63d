/**
 * Field types as Iterable keeps them: the first value of a field fixes its type for the project,
 * for user profiles and for each event name separately. null fixes nothing and fits everything.
 */

export type FieldType = 'string' | 'number' | 'boolean' | 'date' | 'array' | 'object';
export type DataFields = Record<string, unknown>;

const DAY = String.raw`(\d{4})-(\d{2})-(\d{2})`;
const TIME = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d`;
const OFFSET = String.raw`[+-]\d{2}:\d{2}`;
/**
 * The date formats that Iterable recognises; `yyyy-MM-dd HH:mm:ss.SSS` is not among them.
 * https://support.iterable.com/hc/en-us/articles/208183076 (field data types)
 */
const DATE = new RegExp(
  String.raw`^${DAY}(?: ${TIME}(?: ${OFFSET})?|T${TIME}\.\d{3}(?:Z|${OFFSET}))?$`,
);
const DATE_CHARS_MAX = 29;

export function isIterableDate(text: string): boolean {
  // Most strings are no dates: the cheap test first.
  if (text.length < 10 || text.length > DATE_CHARS_MAX || text[4] !== '-') return false;
  const parts = DATE.exec(text);
  if (parts === null) return false;
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth;
}

/** The type that `value` would fix; null for null. */
export function fieldTypeOf(value: unknown): FieldType | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return isIterableDate(value) ? 'date' : 'string';
  if (typeof value === 'number') return 'number';
  if (typeof value === 'boolean') return 'boolean';
  return Array.isArray(value) ? 'array' : 'object';
}

/** A date is also a string, so it fits a field fixed as string; no other types mix. */
export function fits(expected: FieldType, incoming: FieldType): boolean {
  return expected === incoming || (expected === 'string' && incoming === 'date');
}

export function isPlainObject(value: unknown): value is DataFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether `value` nests deeper than `depthMax`; recursion ends there, whatever comes in. */
export function isDeeperThan(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depthMax === 0) return true;
  return Object.values(value).some((inner) => isDeeperThan(inner, depthMax - 1));
}

export interface Mismatch {
  field: string;
  expected: FieldType;
  incoming: FieldType;
  offendingValue: unknown;
}

/** Of a profile, or of the events with one name. */
export type FieldScope = { category: 'user' } | { category: 'event'; eventName: string };

function scopeKey(scope: FieldScope): string {
  return scope.category === 'user' ? 'user' : `event:${scope.eventName}`;
}

/** All fixed types of a project. Changes go through a draft, so that a refused call fixes none. */
export class FieldTypes {
  readonly #scopes = new Map<string, Map<string, FieldType>>();
  #count = 0;

  draft(): FieldDraft {
    return new FieldDraft(
      (scope, path) => this.#scopes.get(scope)?.get(path),
      (scope, path, type) => this.#fix(scope, path, type),
      this.#count,
    );
  }

  /** Path → type of one scope. */
  of(scope: FieldScope): ReadonlyMap<string, FieldType> {
    return this.#scopes.get(scopeKey(scope)) ?? new Map<string, FieldType>();
  }

  clear(): void {
    this.#scopes.clear();
    this.#count = 0;
  }

  #fix(scope: string, path: string, type: FieldType): void {
    let types = this.#scopes.get(scope);
    if (types === undefined) {
      types = new Map();
      this.#scopes.set(scope, types);
    }
    if (!types.has(path)) this.#count += 1;
    types.set(path, type);
  }
}

/** What one call (a whole batch counts as one) would fix; `commit` makes it so. */
export class FieldDraft {
  readonly #known: (scope: string, path: string) => FieldType | undefined;
  readonly #fix: (scope: string, path: string, type: FieldType) => void;
  readonly #countBefore: number;
  readonly #created = new Map<string, { scope: string; path: string; type: FieldType }>();
  readonly filteredOut = new Set<string>();
  readonly mismatches: Mismatch[] = [];

  constructor(
    known: (scope: string, path: string) => FieldType | undefined,
    fix: (scope: string, path: string, type: FieldType) => void,
    countBefore: number,
  ) {
    this.#known = known;
    this.#fix = fix;
    this.#countBefore = countBefore;
  }

  /**
   * Notes the new fields and the mismatches of `fields`, and returns what is to be stored: with
   * `createNewFields` false, unknown top-level fields are left out.
   */
  check(scope: FieldScope, fields: DataFields, createNewFields: boolean): DataFields {
    const key = scopeKey(scope);
    if (createNewFields) {
      this.#walk(key, '', fields);
      return fields;
    }
    const kept = Object.create(null) as DataFields;
    for (const [name, value] of Object.entries(fields)) {
      if (this.#typeAt(key, name) === undefined) this.filteredOut.add(name);
      else kept[name] = value;
    }
    this.#walk(key, '', kept);
    return kept;
  }

  get createdFields(): string[] {
    return [...new Set([...this.#created.values()].map(({ path }) => path))];
  }

  /** Fields of the project after `commit`. */
  get fieldsAfter(): number {
    return this.#countBefore + this.#created.size;
  }

  commit(): void {
    for (const { scope, path, type } of this.#created.values()) this.#fix(scope, path, type);
  }

  #typeAt(scope: string, path: string): FieldType | undefined {
    const known = this.#known(scope, path);
    if (known !== undefined || this.#created.size === 0) return known;
    return this.#created.get(`${scope}\0${path}`)?.type;
  }

  #walk(scope: string, prefix: string, fields: DataFields): void {
    for (const name of Object.keys(fields)) {
      const value = fields[name];
      const incoming = fieldTypeOf(value);
      if (incoming === null) continue;
      const path = prefix + name;
      const expected = this.#typeAt(scope, path);
      if (expected === undefined) {
        this.#created.set(`${scope}\0${path}`, { scope, path, type: incoming });
      } else if (!fits(expected, incoming)) {
        this.mismatches.push({ field: path, expected, incoming, offendingValue: value });
        continue;
      }
      if (isPlainObject(value)) this.#walk(scope, `${path}.`, value);
    }
  }
}

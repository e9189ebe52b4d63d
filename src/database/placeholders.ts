/** Names and texts in quotes, and `:name`. */
const PLACE = /`(?:[^`]|``)*`|'(?:[^'\\]|\\[^]|'')*'|:([a-z_]+)/g;

type Value = string | number | bigint | null | readonly (string | number | bigint)[];

/**
 * A statement with `:name` placeholders as mysql2 takes it: with `?`, and the values in their order.
 * What stands in quotes or backticks is no placeholder: a column may be called so.
 */
export function positional(
  sql: string,
  parameters: Readonly<Record<string, unknown>>,
): { text: string; values: Value[] } {
  const values: Value[] = [];
  const text = sql.replace(PLACE, (found, name?: string) => {
    if (name === undefined) return found;
    values.push((parameters[name] ?? null) as Value);
    return '?';
  });
  return { text, values };
}

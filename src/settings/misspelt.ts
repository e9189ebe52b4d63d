import { nearest } from './nearest.ts';

const OURS = /^(ITERABLE|KAFKA|RULE)_(?=.)/i;

/** Whether every word of `name` is in `candidate`, in this order: KAFKA_USERNAME in KAFKA_SASL_USERNAME. */
function isPartOf(name: string, candidate: string): boolean {
  const words = candidate.split('_');
  let at = -1;
  return name.split('_').every((word) => {
    at = words.indexOf(word, at + 1);
    return at >= 0;
  });
}

/**
 * A sentence for each name that begins as settings do and is none of `settings`, with the nearest
 * one; each name once. Others have such names too (KAFKA_HEAP_OPTS): it is said, and no more.
 */
export function misspeltNames(given: Iterable<string>, settings: readonly string[]): string[] {
  const known = new Set(settings);
  const strangers = [...new Set(given)].filter((name) => OURS.test(name) && !known.has(name));
  return strangers.sort().map((name) => {
    const upper = name.toUpperCase();
    const prefix = OURS.exec(upper)?.[0] ?? '';
    const siblings = settings.filter((setting) => setting.startsWith(prefix));
    const rest = upper.slice(prefix.length);
    const likely =
      siblings.find((setting) => isPartOf(upper, setting)) ??
      withPrefix(
        prefix,
        nearest(
          rest,
          siblings.map((setting) => setting.slice(prefix.length)),
        ),
      );
    if (likely !== null) return `there is no setting ${name}; did you mean ${likely}?`;
    return `there is no setting ${name} (the nearest one is ${closest(upper, siblings)})`;
  });
}

/** Letters that may be wrong in the name of a setting that has no prefix of ours. */
const FAR_MAX = 2;

/**
 * The same of a file that is ours: of the names that do not begin so, those that are nearly a
 * setting's (DB_PROT). Others are another program's.
 */
export function nearMisses(given: Iterable<string>, settings: readonly string[]): string[] {
  const strangers = [...given].filter((name) => !OURS.test(name) && !settings.includes(name));
  return strangers.sort().flatMap((name) => {
    const likely = nearest(name, settings, FAR_MAX);
    return likely === null ? [] : [`there is no setting ${name}; did you mean ${likely}?`];
  });
}

const withPrefix = (prefix: string, rest: string | null): string | null =>
  rest === null ? null : prefix + rest;

const closest = (name: string, candidates: readonly string[]): string =>
  nearest(name, candidates, Number.POSITIVE_INFINITY) ?? '';

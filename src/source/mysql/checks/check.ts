/** One thing that has to be so for capture to lose nothing. */
export interface Check {
  name: string;
  ok: boolean;
  /** What was found. */
  detail: string;
  /** What to do about it; null when all is well, and where another check says it. */
  fix: string | null;
  /** Capture does not start without it. */
  required: boolean;
}

/** What a check came to. */
export interface Verdict {
  ok: boolean;
  detail: string;
  fix: string;
}

export function check(name: string, { ok, detail, fix }: Verdict, required = true): Check {
  return { name, ok, detail, fix: ok ? null : fix, required };
}

/** Nothing can be said of it, for a reason that another check names. */
export function unchecked(name: string, because: string): Check {
  return { name, ok: false, detail: `not checked: ${because}`, fix: null, required: false };
}

/** `page_views is missing`, of at least one table. */
export function missingText(tables: readonly string[]): string {
  return `${tables.join(' and ')} ${tables.length === 1 ? 'is' : 'are'} missing`;
}

/** One sentence of all that capture can't do without; null when it can start. */
export function refusalOf(checks: readonly Check[]): string | null {
  const failed = checks.filter(({ ok, required }) => required && !ok);
  if (failed.length === 0) return null;
  return failed.map(({ detail, fix }) => `${detail}: ${fix}`).join('; ');
}

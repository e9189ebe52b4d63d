const DAY_MS = 86_400_000;
/** The rule's day begins at midnight, in another time zone, by another clock. */
const MARGIN_DAYS = 3;

/** As our own form has it, and as text in the order of time. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;

const isPlain = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

export interface PrefilterOptions {
  /** Pages that the rule asks for. */
  pages: readonly string[];
  /** Views that are older can't be what the rule asks for. */
  lookbackDays: number;
}

/** Tells of page views that they can't change the rule's answer, so that nobody asks for it. */
export class Prefilter {
  /** null where any page may be one of the rule's. */
  readonly #pages: ReadonlySet<string> | null;
  readonly #lookbackDays: number;

  constructor({ pages, lookbackDays }: PrefilterOptions) {
    this.#pages = pages.every(isPlain)
      ? new Set(pages.map((page) => page.trimEnd().toLowerCase()))
      : null;
    this.#lookbackDays = lookbackDays;
  }

  /**
   * Whether a view of this page may matter. MySQL compares text without regard to case, accents or
   * trailing spaces, so whatever is not plain ASCII, on either side, is looked at.
   */
  mayMatter(page: string | null): boolean {
    if (page === null) return false;
    const pages = this.#pages;
    return pages === null || !isPlain(page) || pages.has(page.trimEnd().toLowerCase());
  }

  /** The time before which a view is too old at `nowMs` (epoch), as `isBefore` takes it. */
  oldest(nowMs: number): string {
    const oldestMs = Math.max(0, nowMs - (this.#lookbackDays + MARGIN_DAYS) * DAY_MS);
    return new Date(oldestMs).toISOString();
  }
}

/** Whether a time of our own form is before `oldest`; false where it has another form. */
export function isBefore(eventTime: string, oldest: string): boolean {
  return eventTime < oldest && TIME.test(eventTime);
}

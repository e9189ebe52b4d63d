const DAY_MS = 86_400_000;
/** Zones change at whole quarters of an hour (since 1972). */
const QUARTER_MS = 900_000;
const TWO_DIGITS = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));

/**
 * Writes `event_time` as the topics have it: UTC, `YYYY-MM-DDTHH:MM:SSZ`, fractions cut off.
 *
 * The binlog holds a TIMESTAMP as an instant (`kind: 'instant'`) and a DATETIME as wall time
 * (`kind: 'wall'`, a Date whose UTC fields are the wall's), which is in DB_TIME_ZONE as the rule's
 * session reads it. Zero dates are null.
 */
export class EventTimes {
  readonly #zone: string;
  #day = Number.NaN;
  /** With the T. */
  #dayText = '';
  #formatter: Intl.DateTimeFormat | null = null;
  /** A quarter of an hour of the wall, and its offset. */
  #quarter = Number.NaN;
  #quarterOffsetMs = 0;

  /** `zone` as DatabaseSettings.timeZone: an offset, or a name that MySQL knows. */
  constructor(zone: string) {
    this.#zone = zone;
  }

  text(value: Date, kind: 'instant' | 'wall'): string | null {
    const ms = value.getTime();
    if (Number.isNaN(ms) || (kind === 'instant' && ms === 0)) return null;
    const instantMs = kind === 'instant' ? ms : ms - this.#offsetMs(ms);
    // Rows that come together are mostly of one day.
    const day = Math.floor(instantMs / DAY_MS);
    if (day !== this.#day) {
      this.#day = day;
      this.#dayText = new Date(day * DAY_MS).toISOString().slice(0, -'00:00:00.000Z'.length);
    }
    const second = Math.floor((instantMs - day * DAY_MS) / 1000);
    const minute = Math.floor(second / 60);
    const [hours, minutes, seconds] = [Math.floor(minute / 60), minute % 60, second % 60];
    return `${this.#dayText}${TWO_DIGITS[hours]}:${TWO_DIGITS[minutes]}:${TWO_DIGITS[seconds]}Z`;
  }

  /** How far ahead of UTC the zone is at this wall time. */
  #offsetMs(wallMs: number): number {
    const fixed = /^([+-])(\d{1,2}):(\d{2})$/.exec(this.#zone);
    if (fixed !== null) {
      const minutes = Number(fixed[2]) * 60 + Number(fixed[3]);
      return (fixed[1] === '-' ? -minutes : minutes) * 60_000;
    }
    const quarter = Math.floor(wallMs / QUARTER_MS);
    if (quarter !== this.#quarter) {
      this.#quarter = quarter;
      this.#quarterOffsetMs = this.#namedOffsetMs(wallMs);
    }
    return this.#quarterOffsetMs;
  }

  /**
   * Of the two instants of a time that comes twice, the first, as MySQL has it. A time that the
   * clocks skip is taken by the offset before.
   */
  #namedOffsetMs(wallMs: number): number {
    const before = this.#zoneOffsetMs(wallMs - DAY_MS);
    const after = this.#zoneOffsetMs(wallMs + DAY_MS);
    const firstFirst = [Math.max(before, after), Math.min(before, after)];
    return firstFirst.find((offset) => this.#zoneOffsetMs(wallMs - offset) === offset) ?? before;
  }

  #zoneOffsetMs(instantMs: number): number {
    try {
      this.#formatter ??= new Intl.DateTimeFormat('en-US', {
        timeZone: this.#zone === 'SYSTEM' ? undefined : this.#zone,
        timeZoneName: 'longOffset',
      });
    } catch {
      return 0;
    }
    const parts = this.#formatter.formatToParts(instantMs);
    const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT';
    const match = /GMT([+-])(\d{2}):(\d{2})/.exec(name);
    if (match === null) return 0;
    const minutes = Number(match[2]) * 60 + Number(match[3]);
    return (match[1] === '-' ? -minutes : minutes) * 60_000;
  }
}

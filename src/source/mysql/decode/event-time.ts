import { copyBytes, writePair } from './json-bytes.ts';

const DAY_MS = 86_400_000;
/** Zones change at whole quarters of an hour (since 1972). */
const QUARTER_MS = 900_000;
const DAY_S = 86_400;
const COLON = 0x3a;
const ZULU = 0x5a;

/** What `write` takes at most, years of six digits among it. */
const EVENT_TIME_BYTES_MAX = 32;

/** A TIMESTAMP, or a DATETIME. */
type TimeKind = 'instant' | 'wall';

/**
 * Writes `event_time` as the topics have it: UTC, `YYYY-MM-DDTHH:MM:SSZ`, fractions cut off.
 *
 * The binlog holds a TIMESTAMP as an instant (`kind: 'instant'`) and a DATETIME as wall time
 * (`kind: 'wall'`, a Date whose UTC fields are the wall's), which is in DB_TIME_ZONE as the rule's
 * session reads it. Zero dates are null.
 */
export class EventTimes {
  readonly #zone: string;
  /** How far ahead of UTC a zone is that is an offset itself. */
  readonly #fixedMs: number | null = null;
  #day = Number.NaN;
  /** With the T. */
  #dayText: Buffer = Buffer.alloc(0);
  readonly #scratch = Buffer.alloc(EVENT_TIME_BYTES_MAX);
  #formatter: Intl.DateTimeFormat | null = null;
  /** A quarter of an hour of the wall, and its offset. */
  #quarter = Number.NaN;
  #quarterOffsetMs = 0;

  /** `zone` as DatabaseSettings.timeZone: an offset, or a name that MySQL knows. */
  constructor(zone: string) {
    this.#zone = zone;
    const fixed = /^([+-])(\d{1,2}):(\d{2})$/.exec(zone);
    if (fixed === null) return;
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3]);
    this.#fixedMs = (fixed[1] === '-' ? -minutes : minutes) * 60_000;
  }

  text(value: Date, kind: TimeKind): string | null {
    const ms = value.getTime();
    if (Number.isNaN(ms) || (kind === 'instant' && ms === 0)) return null;
    const end = this.write(Math.floor(ms / 1000), kind, this.#scratch, 0);
    return this.#scratch.toString('latin1', 0, end);
  }

  /** Writes the same at `at`; returns where it ends. `seconds` are the epoch's, or the wall's. */
  write(seconds: number, kind: TimeKind, target: Buffer, at: number): number {
    const instant = kind === 'instant' ? seconds : seconds - this.#offsetMs(seconds * 1000) / 1000;
    // Rows that come together are mostly of one day.
    const day = Math.floor(instant / DAY_S);
    if (day !== this.#day) {
      this.#day = day;
      const text = new Date(day * DAY_MS).toISOString().slice(0, -'00:00:00.000Z'.length);
      this.#dayText = Buffer.from(text, 'latin1');
    }
    const second = instant - day * DAY_S;
    const minute = Math.floor(second / 60);
    const hour = Math.floor(minute / 60);
    let end = writePair(hour, target, copyBytes(this.#dayText, target, at));
    target[end] = COLON;
    end = writePair(minute - hour * 60, target, end + 1);
    target[end] = COLON;
    end = writePair(second - minute * 60, target, end + 1);
    target[end] = ZULU;
    return end + 1;
  }

  /** How far ahead of UTC the zone is at this wall time. */
  #offsetMs(wallMs: number): number {
    if (this.#fixedMs !== null) return this.#fixedMs;
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

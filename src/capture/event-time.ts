/**
 * Writes `event_time` as the topics have it: UTC, `YYYY-MM-DDTHH:MM:SSZ`, fractions cut off.
 *
 * The binlog holds a TIMESTAMP as an instant (`kind: 'instant'`) and a DATETIME as wall time
 * (`kind: 'wall'`, a Date whose UTC fields are the wall's), which is in DB_TIME_ZONE as the rule's
 * session reads it. Zero dates are null.
 */
export class EventTimes {
  readonly #zone: string;
  #lastMs = Number.NaN;
  #lastText: string | null = null;
  #formatter: Intl.DateTimeFormat | null = null;

  /** `zone` as DatabaseSettings.timeZone: an offset, or a name that MySQL knows. */
  constructor(zone: string) {
    this.#zone = zone;
  }

  text(value: Date, kind: 'instant' | 'wall'): string | null {
    const ms = value.getTime();
    if (Number.isNaN(ms) || (kind === 'instant' && ms === 0)) return null;
    const instantMs = kind === 'instant' ? ms : ms - this.#offsetMs(ms);
    // Rows that come together were mostly made in the same second.
    const secondMs = instantMs - (((instantMs % 1000) + 1000) % 1000);
    if (secondMs !== this.#lastMs) {
      this.#lastMs = secondMs;
      this.#lastText = `${new Date(secondMs).toISOString().slice(0, 19)}Z`;
    }
    return this.#lastText;
  }

  /** How far ahead of UTC the zone is at this wall time. */
  #offsetMs(wallMs: number): number {
    const fixed = /^([+-])(\d{1,2}):(\d{2})$/.exec(this.#zone);
    if (fixed !== null) {
      const minutes = Number(fixed[2]) * 60 + Number(fixed[3]);
      return (fixed[1] === '-' ? -minutes : minutes) * 60_000;
    }
    // The offset at the instant that the wall time would be in UTC, then at the instant found.
    return this.#zoneOffsetMs(wallMs - this.#zoneOffsetMs(wallMs));
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

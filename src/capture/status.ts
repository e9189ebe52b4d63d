import type { Clock } from '../model/clock.ts';
import type { ChangeReading } from '../source/port.ts';
import type { PublishQueue } from './publish-queue.ts';

export const CAPTURE_STATES = [
  'waiting for lock',
  'bootstrapping',
  'streaming',
  'reconnecting',
] as const;
export type CaptureState = (typeof CAPTURE_STATES)[number];

/** Why everyone is looked at: at the first start, since the log was lost, or not in the log. */
export type CaptureResync = 'first-start' | 'log-lost' | 'not-in-log';

/** What a capture shows of itself. One object for its whole life: read it when asked. */
export interface CaptureStatus {
  readonly state: CaptureState;
  /** Why it is not streaming, where that has a reason. */
  readonly reason: string | null;
  /** Where it would resume now; null before the first position is known. */
  readonly position: string | null;
  /** Seconds since the commit time of the newest event (or heartbeat); null before the first. */
  readonly positionAgeSeconds: number | null;
  /** Rows that are durable in the topics, by kind (`page_views.insert`), since the start. */
  readonly capturedRows: Readonly<Record<string, number>>;
  /** Messages in memory. */
  readonly queueBytes: number;
  /** How long the topics have been taking what was given to them last; 0 when they have it. */
  readonly publishingSeconds: number;
}

/** What tells a capture's figures while it streams. */
interface Watched {
  reading: Pick<ChangeReading, 'newestMs' | 'bytes'>;
  queue: Pick<PublishQueue, 'position' | 'bytes' | 'publishingMs'>;
}

/** The status with its working parts. */
export class LiveStatus implements CaptureStatus {
  readonly capturedRows: Record<string, number> = {};
  state: CaptureState = 'reconnecting';
  reason: string | null = 'not connected yet';
  /** Whether it ever got as far. */
  hasStreamed = false;
  #watched: Watched | null = null;
  /** Of what was watched before. */
  #newestBeforeMs: number | null = null;
  readonly #clock: Clock;
  readonly #onChange: (status: CaptureStatus) => void;

  constructor(clock: Clock, onChange: (status: CaptureStatus) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** From now on it shows these. */
  watch(watched: Watched): void {
    this.#newestBeforeMs = this.newestMs;
    this.#watched = watched;
  }

  /** Epoch ms. */
  get newestMs(): number | null {
    return this.#watched?.reading.newestMs ?? this.#newestBeforeMs;
  }

  get position(): string | null {
    return this.#watched?.queue.position.label ?? null;
  }

  get queueBytes(): number {
    if (this.#watched === null) return 0;
    return this.#watched.reading.bytes + this.#watched.queue.bytes;
  }

  get publishingSeconds(): number {
    return (this.#watched?.queue.publishingMs ?? 0) / 1000;
  }

  get positionAgeSeconds(): number | null {
    // Who stands by hears nothing of the log.
    const { newestMs, state } = this;
    if (newestMs === null || state === 'waiting for lock') return null;
    return Math.max(0, (this.#clock.epochMs() - newestMs) / 1000);
  }

  change(state: CaptureState, reason: string | null): void {
    this.hasStreamed ||= state === 'streaming';
    this.state = state;
    this.reason = reason;
    this.#onChange(this);
  }

  toJSON(): CaptureStatus {
    const { state, reason, position, positionAgeSeconds, capturedRows } = this;
    const { queueBytes, publishingSeconds } = this;
    return {
      state,
      reason,
      position,
      positionAgeSeconds,
      capturedRows,
      queueBytes,
      publishingSeconds,
    };
  }
}

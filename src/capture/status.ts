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
  /** Where it would resume now; null before the first place is known. */
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

/** The status with its working parts. */
export class LiveStatus implements CaptureStatus {
  readonly capturedRows: Record<string, number> = {};
  state: CaptureState = 'reconnecting';
  reason: string | null = 'not connected yet';
  /** Whether it ever got as far. */
  hasStreamed = false;
  /** Epoch ms. */
  newestMs: number | null = null;
  readPosition: () => string | null = () => null;
  readQueueBytes: () => number = () => 0;
  readPublishingMs: () => number = () => 0;
  readonly #onChange: (status: CaptureStatus) => void;

  constructor(onChange: (status: CaptureStatus) => void) {
    this.#onChange = onChange;
  }

  get position(): string | null {
    return this.readPosition();
  }

  get queueBytes(): number {
    return this.readQueueBytes();
  }

  get publishingSeconds(): number {
    return this.readPublishingMs() / 1000;
  }

  get positionAgeSeconds(): number | null {
    // Who stands by hears nothing of the log.
    if (this.newestMs === null || this.state === 'waiting for lock') return null;
    return Math.max(0, (Date.now() - this.newestMs) / 1000);
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

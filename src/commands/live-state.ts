import type { Gauge } from 'prom-client';
import type { CaptureStatus } from '../capture/capture.ts';
import { CAPTURE_STATES } from '../capture/status.ts';
import type { TriggerOutcome } from '../deliver/trigger.ts';
import type { Sink } from '../deliver/sink.ts';
import type { DeliveryStream } from '../deliver/stream.ts';
import { Figure } from '../observe/figure.ts';
import type { Observed } from '../observe/http-server.ts';
import { type Metrics, OUTCOMES } from '../observe/metrics.ts';
import { type Part, Readiness, type Trouble } from '../observe/readiness.ts';
import type { DeadLetterStore } from '../topics/port.ts';
import type { StreamFigures } from './status-line.ts';

/** A publish that takes longer waits for a broker, or for room on the disk. */
const PUBLISHING_SECONDS_MAX = 5;
/** A page answers within a second, whatever hangs; this leaves the rest of it to all else. */
const FIGURE_MS_MAX = 600;

/** An answer of a broker that takes longer does not come. */
const WAIT_SECONDS_MAX = 10;

type WatchedSink = Pick<Sink, 'pace' | 'share' | 'trouble'>;

interface Delivering {
  stream: DeliveryStream;
  sink: WatchedSink;
  lag: Figure<ReadonlyMap<string, number>>;
  letters: Figure<number>;
}

/** What a running stream shows of itself: /readyz, /status and /metrics. */
export class LiveState implements Observed {
  readonly #metrics: Metrics;
  readonly #startedMs = Date.now();
  readonly #readiness = new Readiness(() => Date.now());
  #deliver: Delivering | null = null;
  #capture: CaptureStatus | null = null;

  /** `parts`: which halves are to run here; each is in trouble until it has begun. */
  constructor(metrics: Metrics, parts: { capture: boolean; deliver: boolean }) {
    this.#metrics = metrics;
    if (parts.capture) this.set('capture', 'state', 'not started yet');
    if (parts.deliver) this.set('group', 'assignment', 'not joined yet');
  }

  /** What keeps a part from working, or null, as `by` sees it. */
  set(part: Part, by: string, reason: string | null): void {
    this.#readiness.set(part, by, reason);
  }

  captureStatus(status: CaptureStatus): void {
    this.#capture = status;
  }

  watch(
    stream: DeliveryStream,
    sink: WatchedSink,
    deadLetters: Pick<DeadLetterStore, 'count'>,
  ): void {
    this.#deliver = {
      stream,
      sink,
      lag: new Figure(() => stream.lag(), FIGURE_MS_MAX),
      letters: new Figure(() => deadLetters.count(), FIGURE_MS_MAX),
    };
  }

  troubles(): Trouble[] {
    if (this.#deliver !== null) this.set('group', 'assignment', groupTrouble(this.#deliver));
    if (this.#capture !== null) {
      this.set('capture', 'state', captureTrouble(this.#capture));
      this.set('topics', 'publishing', publishingTrouble(this.#capture));
    }
    return this.#readiness.troubles();
  }

  notReady(): string[] {
    return this.troubles().map(({ part, reason, since }) => `${part}: ${reason} (since ${since})`);
  }

  async status(): Promise<Record<string, unknown>> {
    const status: Record<string, unknown> = {
      uptime_seconds: Math.round((Date.now() - this.#startedMs) / 1000),
      not_ready: this.troubles(),
    };
    if (this.#capture !== null) status['capture'] = this.#capture;
    if (this.#deliver !== null) status['deliver'] = await this.#deliverStatus(this.#deliver);
    return status;
  }

  /** For the line below the log. */
  async figures(): Promise<StreamFigures> {
    const troubles = this.troubles().map(({ part }) => part);
    const rows = this.#capture === null ? null : Object.values(this.#capture.capturedRows);
    const captured = rows === null ? null : rows.reduce((sum, count) => sum + count, 0);
    const none = { waiting: null, sent: null, refused: null, lag: null, lastDeliveryMs: null };
    if (this.#deliver === null) return { troubles, captured, ...none };
    const { stream, lag } = this.#deliver;
    const [counts, waiting] = await Promise.all([this.#counts(), lag.read()]);
    const [last] = stream.recent.list();
    // What is delivered says more, and the line is short.
    return {
      troubles,
      captured: null,
      waiting: stream.inFlight.messages,
      sent: counts.sent,
      refused: counts.refused,
      lag: waiting && [...waiting.values()].reduce((sum, messages) => sum + messages, 0),
      lastDeliveryMs: last === undefined ? null : Date.parse(last.time),
    };
  }

  async metrics(): Promise<string> {
    const { ready, registry } = this.#metrics;
    ready.set(this.troubles().length === 0 ? 1 : 0);
    if (this.#capture !== null) this.#captureMetrics(this.#capture);
    if (this.#deliver !== null) await this.#deliverMetrics(this.#deliver);
    return registry.metrics();
  }

  async #deliverMetrics({ stream, lag, letters }: Delivering): Promise<void> {
    const { topicLag, memoryOfSent, deadLetters, rateShare } = this.#metrics;
    const [waiting, kept] = await Promise.all([lag.read(), letters.read()]);
    topicLag.reset();
    for (const [topic, messages] of waiting ?? []) topicLag.set({ topic }, messages);
    setKnown(deadLetters, kept);
    setKnown(rateShare, stream.share);
    memoryOfSent.set(stream.memory.size);
  }

  #captureMetrics({ state, positionAgeSeconds, capturedRows: counted }: CaptureStatus): void {
    const { capturePositionAge, capturedRows, captureState } = this.#metrics;
    setKnown(capturePositionAge, positionAgeSeconds);
    for (const one of CAPTURE_STATES) captureState.set({ state: one }, one === state ? 1 : 0);
    // Capture counts by itself; the registry shows its count.
    capturedRows.reset();
    for (const [kind, rows] of Object.entries(counted)) capturedRows.inc({ kind }, rows);
  }

  /** Messages so far, by what came of them. */
  async #counts(): Promise<Record<TriggerOutcome, number>> {
    const { values } = await this.#metrics.deliveries.get();
    const counts: Record<TriggerOutcome, number> = {
      sent: 0,
      superseded: 0,
      ineligible: 0,
      refused: 0,
    };
    for (const outcome of OUTCOMES) {
      counts[outcome] = values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
    }
    return counts;
  }

  async #deliverStatus({ stream, sink, lag, letters }: Delivering): Promise<object> {
    const counts = await this.#counts();
    const [waiting, kept] = await Promise.all([lag.read(), letters.read()]);
    return {
      share_of_rate: stream.share,
      ...(waiting === null ? {} : { lag_messages: Object.fromEntries(waiting) }),
      ...(kept === null ? {} : { dead_letters: kept }),
      in_flight: stream.inFlight,
      waits_for: stream.waits,
      calls_in_flight: sink.pace.callsInFlight,
      waiting_for_budget: sink.pace.waiting,
      iterable: sink.trouble?.reason ?? 'accepts calls',
      outcomes: counts,
      last_deliveries: stream.recent.list(),
    };
  }
}

function setKnown(gauge: Gauge, value: number | null): void {
  if (value === null) gauge.remove();
  else gauge.set(value);
}

/** A capture that stands by is as ready as one that streams: it takes over by itself. */
function captureTrouble({ state, reason }: CaptureStatus): string | null {
  if (state === 'streaming' || state === 'waiting for lock') return null;
  return reason === null ? state : `${state}, ${reason}`;
}

function publishingTrouble({ publishingSeconds }: CaptureStatus): string | null {
  if (publishingSeconds < PUBLISHING_SECONDS_MAX) return null;
  return `the topics have taken nothing for ${Math.round(publishingSeconds)} s`;
}

function groupTrouble({ stream, sink }: Delivering): string | null {
  if (stream.share === null) return 'no partitions assigned yet';
  const wait = stream.waits.find(
    ({ what, seconds }) => seconds >= WAIT_SECONDS_MAX && !what.startsWith('room'),
  );
  if (wait !== undefined) return `waits for ${wait.what} since ${wait.seconds} s`;
  if (!stream.isCurrent) return 'the consumer group does not answer; sending waits';
  // With more instances than partitions, some have none: they stand by.
  if (stream.share > 0 && sink.share === 0) {
    return 'sending begins a second after the partitions were assigned';
  }
  return null;
}

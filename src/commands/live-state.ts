import type { CaptureStatus } from '../capture/capture.ts';
import type { Sender } from '../delivery/sender.ts';
import type { DeliveryStream } from '../delivery/stream.ts';
import type { Observed } from '../observe/http-server.ts';
import { type Metrics, OUTCOMES } from '../observe/metrics.ts';

/** A publish that takes longer waits for a broker, or for room on the disk. */
const PUBLISHING_SECONDS_MAX = 5;

/** An answer of a broker that takes longer does not come. */
const WAIT_SECONDS_MAX = 10;

type Part = 'database' | 'iterable';

/** What a running stream shows of itself: /readyz, /status and /metrics. */
export class LiveState implements Observed {
  deliver: { stream: DeliveryStream; sender: Sender } | null = null;
  readonly #metrics: Metrics;
  readonly #startedMs = Date.now();
  readonly #troubles = new Map<Part, string>();
  #capture: CaptureStatus | null = null;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** What keeps a part from moving, or null. */
  set(part: Part, reason: string | null): void {
    if (reason === null) this.#troubles.delete(part);
    else this.#troubles.set(part, reason);
  }

  captureStatus(status: CaptureStatus): void {
    this.#capture = status;
  }

  notReady(): string[] {
    const reasons = [...this.#troubles].map(([part, reason]) => `${part}: ${reason}`);
    if (this.deliver !== null) reasons.push(...notSending(this.deliver));
    if (this.#capture !== null) reasons.push(...notCapturing(this.#capture));
    return reasons;
  }

  async status(): Promise<Record<string, unknown>> {
    const status: Record<string, unknown> = {
      uptime_seconds: Math.round((Date.now() - this.#startedMs) / 1000),
      not_ready: this.notReady(),
    };
    if (this.#capture !== null) status['capture'] = this.#capture;
    if (this.deliver !== null) status['deliver'] = await this.#deliverStatus(this.deliver);
    return status;
  }

  async metrics(): Promise<string> {
    const { capturedRows, capturePositionAge, topicLag, memoryOfSent, registry } = this.#metrics;
    if (this.#capture !== null) {
      // Unknown is not zero: zero would read as fresh.
      capturePositionAge.set(this.#capture.positionAgeSeconds ?? Number.NaN);
      // Capture counts by itself; the registry shows its count.
      capturedRows.reset();
      for (const [kind, rows] of Object.entries(this.#capture.capturedRows)) {
        capturedRows.inc({ kind }, rows);
      }
    }
    if (this.deliver !== null) {
      const { stream } = this.deliver;
      memoryOfSent.set(stream.memory.size);
      const lag = await stream.lag().catch(() => new Map<string, number>());
      for (const [topic, messages] of lag) topicLag.set({ topic }, messages);
    }
    return registry.metrics();
  }

  async #deliverStatus({
    stream,
    sender,
  }: {
    stream: DeliveryStream;
    sender: Sender;
  }): Promise<object> {
    const counted = await this.#metrics.deliveries.get();
    const outcomes = OUTCOMES.map((outcome) => [
      outcome,
      counted.values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0,
    ]);
    const lag = await stream.lag().catch(() => null);
    return {
      share_of_rate: stream.share,
      lag_messages: lag === null ? null : Object.fromEntries(lag),
      in_flight: stream.inFlight,
      waits_for: stream.waits,
      calls_in_flight: sender.calls.inFlight,
      waiting_for_budget: sender.budgets['/api/users/update'].waiting,
      iterable: sender.gate.state.reason ?? 'accepts calls',
      outcomes: Object.fromEntries(outcomes) as object,
      last_deliveries: stream.recent.list(),
    };
  }
}

function notCapturing({ state, reason, publishingSeconds }: CaptureStatus): string[] {
  if (state !== 'streaming') return [`capture: ${state}${reason === null ? '' : `, ${reason}`}`];
  if (publishingSeconds < PUBLISHING_SECONDS_MAX) return [];
  return [`capture: the topics have taken nothing for ${Math.round(publishingSeconds)} s`];
}

function notSending({ stream, sender }: { stream: DeliveryStream; sender: Sender }): string[] {
  if (stream.share === null) return ['deliver: no partitions assigned yet'];
  const wait = stream.waits.find(
    ({ what, seconds }) => seconds >= WAIT_SECONDS_MAX && !what.startsWith('room'),
  );
  if (wait !== undefined) {
    return [`deliver: waits for ${wait.what} since ${wait.seconds} s`];
  }
  if (!stream.isCurrent) return ['deliver: the consumer group does not answer; sending waits'];
  // With more instances than partitions, some have none: they stand by.
  if (stream.share > 0 && sender.budgets['/api/users/update'].share === 0) {
    return ['deliver: sending begins a second after the partitions were assigned'];
  }
  return [];
}

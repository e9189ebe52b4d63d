/** What the simulator counts: a measuring instrument for benchmarks and convergence tests. */
import { ENDPOINTS, type Endpoint } from './endpoints.ts';
import type { Accepted } from './calls.ts';
import { PeakPerSecond } from './window.ts';

/** An accepted profile or event. */
export interface Delivery {
  /** Counts from 1 since the start or the last reset. */
  seq: number;
  /** When the request's headers had arrived: epoch milliseconds with a fraction. */
  at: number;
  endpoint: Endpoint;
  /** Lower-cased; null for a user known by id. */
  email: string | null;
  /** Event id; null for a profile. */
  id: string | null;
}

export interface LatestRequest {
  at: number;
  endpoint: Endpoint;
  /** null: never answered (hang, reset). */
  status: number | null;
}

export interface EndpointStats {
  /** Arrivals, whatever became of them. */
  requests: number;
  /** By status; `none` where the connection ended without an answer. */
  statuses: Record<string, number>;
  /** The most arrivals in any second, however it is laid; whatever became of them. */
  peakPerSecond: number;
}

export interface OrderStats {
  /** events/track calls that arrived while users/update of the same user had not ended. */
  trackDuringUpdate: number;
  /** Calls that arrived while another one for the same user had not ended (the above included). */
  overlappingSameUser: number;
}

const LATEST_MAX = 50;

/** A list that forgets its oldest entries. */
class Ring<T> {
  readonly #items: T[] = [];
  readonly #max: number;
  #pushed = 0;

  constructor(max: number) {
    this.#max = max;
  }

  push(item: T): void {
    if (this.#items.length < this.#max) this.#items.push(item);
    else if (this.#max > 0) this.#items[this.#pushed % this.#max] = item;
    this.#pushed += 1;
  }

  /** How many were ever pushed. */
  get pushed(): number {
    return this.#pushed;
  }

  /** Entries number `from` (0: the very first) and later that are still there, oldest first. */
  since(from: number, max: number): T[] {
    const begin = Math.max(from, this.#pushed - this.#items.length);
    const end = Math.min(this.#pushed, begin + max);
    const found: T[] = [];
    for (let i = begin; i < end; i += 1) found.push(this.#items[i % this.#max] as T);
    return found;
  }
}

interface EndpointCounts {
  requests: number;
  statuses: Map<number | null, number>;
  peak: PeakPerSecond;
}

type Writing = 'update' | 'track';

export class Statistics {
  readonly #deliveriesMax: number;
  readonly #startedAt: number;
  #endpoints = new Map<Endpoint, EndpointCounts>();
  #deliveries: Ring<Delivery>;
  #latest = new Ring<LatestRequest>(LATEST_MAX);
  readonly #open = new Map<string, { updates: number; tracks: number }>();
  #order: OrderStats = { trackDuringUpdate: 0, overlappingSameUser: 0 };
  #concurrent = 0;
  #concurrentMax = 0;

  constructor(deliveriesMax: number, startedAt: number) {
    this.#deliveriesMax = deliveriesMax;
    this.#startedAt = startedAt;
    this.#deliveries = new Ring(deliveriesMax);
  }

  arrived(endpoint: Endpoint, atMs: number): void {
    const counts = this.#of(endpoint);
    counts.requests += 1;
    counts.peak.arrive(atMs);
    this.#concurrent += 1;
    this.#concurrentMax = Math.max(this.#concurrentMax, this.#concurrent);
  }

  ended(endpoint: Endpoint, at: number, status: number | null): void {
    this.#concurrent -= 1;
    const { statuses } = this.#of(endpoint);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    this.#latest.push({ at, endpoint, status });
  }

  /** A call for these users begins; `leave` must follow with the same arguments. */
  enter(kind: Writing, userKeys: readonly string[]): void {
    for (const key of userKeys) {
      const open = this.#open.get(key);
      if (open === undefined) {
        this.#open.set(key, {
          updates: kind === 'update' ? 1 : 0,
          tracks: kind === 'track' ? 1 : 0,
        });
        continue;
      }
      this.#order.overlappingSameUser += 1;
      if (kind === 'track' && open.updates > 0) this.#order.trackDuringUpdate += 1;
      if (kind === 'update') open.updates += 1;
      else open.tracks += 1;
    }
  }

  leave(kind: Writing, userKeys: readonly string[]): void {
    for (const key of userKeys) {
      const open = this.#open.get(key);
      if (open === undefined) continue;
      if (kind === 'update') open.updates -= 1;
      else open.tracks -= 1;
      if (open.updates === 0 && open.tracks === 0) this.#open.delete(key);
    }
  }

  accepted(endpoint: Endpoint, at: number, accepted: readonly Accepted[]): void {
    for (const { email, id } of accepted) {
      this.#deliveries.push({ seq: this.#deliveries.pushed + 1, at, endpoint, email, id });
    }
  }

  /** Deliveries with a `seq` above `seq`, oldest first; the oldest may have been forgotten. */
  deliveries(seq: number, max = Number.POSITIVE_INFINITY): Delivery[] {
    return this.#deliveries.since(seq, max);
  }

  get lastSeq(): number {
    return this.#deliveries.pushed;
  }

  snapshot(): {
    startedAt: number;
    endpoints: Record<Endpoint, EndpointStats>;
    concurrent: number;
    concurrentMax: number;
    order: OrderStats;
    deliveries: number;
    latest: LatestRequest[];
  } {
    const endpoints = {} as Record<Endpoint, EndpointStats>;
    for (const name of ENDPOINTS) {
      const { requests, statuses, peak } = this.#of(name);
      endpoints[name] = {
        requests,
        statuses: Object.fromEntries([...statuses].map(([key, n]) => [key ?? 'none', n])),
        peakPerSecond: peak.peak,
      };
    }
    return {
      startedAt: this.#startedAt,
      endpoints,
      concurrent: this.#concurrent,
      concurrentMax: this.#concurrentMax,
      order: { ...this.#order },
      deliveries: this.#deliveries.pushed,
      latest: this.#latest.since(0, LATEST_MAX),
    };
  }

  /** Counts anew; calls that are under way are still known to be. */
  reset(): void {
    this.#endpoints = new Map();
    this.#deliveries = new Ring(this.#deliveriesMax);
    this.#latest = new Ring(LATEST_MAX);
    this.#order = { trackDuringUpdate: 0, overlappingSameUser: 0 };
    this.#concurrentMax = this.#concurrent;
  }

  #of(endpoint: Endpoint): EndpointCounts {
    let counts = this.#endpoints.get(endpoint);
    if (counts === undefined) {
      counts = { requests: 0, statuses: new Map(), peak: new PeakPerSecond() };
      this.#endpoints.set(endpoint, counts);
    }
    return counts;
  }
}

/** What the simulator can be told, and what it takes where nothing is said. */
import type { Logger } from '../observe/logger.ts';
import type { Accepted } from './calls.ts';
import { DOCUMENTED_LIMITS, type Endpoint, type RateLimits } from './endpoints.ts';

export interface SimulatorOptions {
  /** The address to listen on. */
  host: string;
  /** 0: any free one. */
  port: number;
  /** The keys that are accepted; empty: any that is not empty. */
  apiKeys: readonly string[];
  /** Calls per second by endpoint (those not named: as documented); `off`: no limits at all. */
  limits: Partial<RateLimits> | 'off';
  /** Whether 429 comes with Retry-After, in whole seconds. */
  retryAfter: boolean;
  /** Event names that answer 200 with `… is disallowed from tracking`. */
  disallowedEvents: readonly string[];
  /**
   * Host names, without port, that browsers may use for the page and the control API beside
   * 127.0.0.1, localhost, [::1] and `host`.
   */
  allowedHosts: readonly string[];
  bodyBytesMax: number;
  usersMax: number;
  eventsMax: number;
  /** Unique fields of the project, over profiles and events. */
  fieldsMax: number;
  /** How many accepted profiles and events `/simulator/deliveries` remembers. */
  deliveriesMax: number;
  connectionsMax: number;
  /** Gets one line a request, at debug, without e-mail addresses. */
  log: Logger | null;
  /** Told of every call that arrives, whatever becomes of it. */
  onArrival: ((endpoint: Endpoint, at: number) => void) | null;
  /** Told of everything that is carried out, in that order; `at` as in `deliveries`. */
  onAccepted: ((endpoint: Endpoint, at: number, accepted: readonly Accepted[]) => void) | null;
  /** Epoch milliseconds with a fraction; must never go backwards. */
  nowMs: () => number;
}

export const simulatorDefaults: Readonly<SimulatorOptions> = Object.freeze({
  host: '127.0.0.1',
  port: 8080,
  apiKeys: [],
  limits: DOCUMENTED_LIMITS,
  retryAfter: false,
  disallowedEvents: [],
  allowedHosts: [],
  bodyBytesMax: 4 * 1024 * 1024,
  usersMax: 500_000,
  eventsMax: 1_000_000,
  fieldsMax: 8_000,
  deliveriesMax: 200_000,
  connectionsMax: 2_000,
  log: null,
  onArrival: null,
  onAccepted: null,
  nowMs: () => performance.timeOrigin + performance.now(),
});

export function limitsOf(limits: SimulatorOptions['limits']): RateLimits {
  if (limits !== 'off') return { ...DOCUMENTED_LIMITS, ...limits };
  return Object.fromEntries(Object.keys(DOCUMENTED_LIMITS).map((name) => [name, null])) as Record<
    keyof RateLimits,
    null
  >;
}

/** The faults that can be asked for at run time, and the dice that decide which call meets one. */
import { isEndpoint, type Endpoint } from './endpoints.ts';
import type { Refusal } from './calls.ts';
import { isPlainObject } from './fields.ts';

export type FaultKind = 'status' | 'hang' | 'reset' | 'slowBody' | 'html';

export interface RandomFault {
  /**
   * `status`: answers with `status`; `hang`: never answers; `reset`: breaks the connection after
   * the request was read; `slowBody`: headers at once, the body over `durationMs`; `html`: an HTML
   * page with status 200.
   */
  kind: FaultKind;
  /** Default `*`: all. */
  endpoint?: Endpoint | '*';
  /** Share of the calls, 0 to 1 (default 1). */
  rate?: number;
  /** Ends after so many (default: never). */
  times?: number;
  /** Whether the call is carried out all the same (default: only for `slowBody`). */
  applied?: boolean;
  /** For `status`: 400 to 599. */
  status?: number;
  /** For `status`; sends the header Retry-After. */
  retryAfterSeconds?: number;
  /** For `slowBody` (default 1000). */
  durationMs?: number;
}

export interface Latency {
  ms: number;
  /** Up to so much more, evenly spread. */
  jitterMs?: number;
}

export interface Faults {
  /** Seeds the dice of `random` and of the jitter (default 1). */
  seed?: number;
  /** By endpoint; `*` for those not named. */
  latency?: Partial<Record<Endpoint | '*', Latency>>;
  /** All endpoints: 503, connection reset, or no listening socket at all. */
  outage?: 'unavailable' | 'reset' | 'refuse';
  /** Ends the outage; asked for over HTTP, `refuse` needs it (nothing could end it otherwise). */
  outageMs?: number;
  /** 401 for every key. */
  unauthorized?: boolean;
  /** E-mail addresses of forgotten users: 409 ForgottenUserError. */
  forgotten?: readonly string[];
  /** E-mail addresses that are refused with a status and a code. */
  refuse?: readonly { email: string; status: number; code: string; msg?: string }[];
  /** For each call the first that hits. */
  random?: readonly RandomFault[];
}

type Test = (value: unknown) => boolean;
type Shape = Record<string, { test: Test; wants: string; required?: boolean }>;

const RANDOM_MAX = 100;
const between = (low: number, high: number): Shape[string] => ({
  test: (value) => typeof value === 'number' && value >= low && value <= high,
  wants: `a number from ${low} to ${high}`,
});
const oneOf = (...names: string[]): Shape[string] => ({
  test: (value) => typeof value === 'string' && names.includes(value),
  wants: names.join(', '),
});
const BOOLEAN = { test: (value: unknown) => typeof value === 'boolean', wants: 'true or false' };
const TEXT = { test: (value: unknown) => typeof value === 'string', wants: 'a string' };
const DURATION = between(0, 86_400_000);
const STATUS = between(400, 599);
const ENDPOINT = {
  test: (value: unknown) => typeof value === 'string' && (value === '*' || isEndpoint(value)),
  wants: 'an endpoint such as users/update, or *',
};
const LIST = {
  test: (value: unknown) => Array.isArray(value),
  wants: 'a list',
};

const LATENCY: Shape = { ms: { ...DURATION, required: true }, jitterMs: DURATION };
const REFUSE: Shape = {
  email: { ...TEXT, required: true },
  status: { ...STATUS, required: true },
  code: { ...TEXT, required: true },
  msg: TEXT,
};
const RANDOM: Shape = {
  kind: { ...oneOf('status', 'hang', 'reset', 'slowBody', 'html'), required: true },
  endpoint: ENDPOINT,
  rate: between(0, 1),
  times: between(1, Number.MAX_SAFE_INTEGER),
  applied: BOOLEAN,
  status: STATUS,
  retryAfterSeconds: between(0, 86_400),
  durationMs: DURATION,
};
const FAULTS: Shape = {
  seed: between(0, 0xff_ff_ff_ff),
  latency: { test: isPlainObject, wants: 'an object by endpoint' },
  outage: oneOf('unavailable', 'reset', 'refuse'),
  outageMs: DURATION,
  unauthorized: BOOLEAN,
  forgotten: LIST,
  refuse: LIST,
  random: { test: (value) => Array.isArray(value) && value.length <= RANDOM_MAX, wants: 'a list' },
};

function problemIn(value: unknown, shape: Shape, where: string): string | null {
  if (!isPlainObject(value)) return `${where} must be an object`;
  for (const name of Object.keys(value)) {
    const property = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (property === undefined) {
      return `${where} has no ${JSON.stringify(name.slice(0, 50))}; it takes ${Object.keys(shape).join(', ')}`;
    }
    if (!property.test(value[name])) return `${where}.${name} must be ${property.wants}`;
  }
  for (const [name, { required }] of Object.entries(shape)) {
    if (required === true && !Object.hasOwn(value, name)) return `${where}.${name} is missing`;
  }
  return null;
}

/** Faults from JSON, or one sentence that says what is wrong with it. */
export function readFaults(value: unknown): { faults: Faults } | { problem: string } {
  const problem = problemIn(value, FAULTS, 'faults');
  if (problem !== null) return { problem };
  const faults = value as Faults;
  for (const [endpoint, latency] of Object.entries(faults.latency ?? {})) {
    if (!ENDPOINT.test(endpoint)) return { problem: `latency is by endpoint: ${ENDPOINT.wants}` };
    const wrong = problemIn(latency, LATENCY, 'latency');
    if (wrong !== null) return { problem: wrong };
  }
  for (const [shape, name, list] of [
    [REFUSE, 'refuse', faults.refuse],
    [RANDOM, 'random', faults.random],
  ] as const) {
    for (const item of list ?? []) {
      const wrong = problemIn(item, shape, name);
      if (wrong !== null) return { problem: wrong };
    }
  }
  if (!(faults.forgotten ?? []).every((email) => TEXT.test(email))) {
    return { problem: 'forgotten must be a list of e-mail addresses' };
  }
  if ((faults.random ?? []).some((fault) => fault.kind === 'status' && !fault.status)) {
    return { problem: 'random with the kind status needs a status' };
  }
  return { faults };
}

/** Mulberry32: a small generator with 32 bits of state, good enough to spread faults. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The faults in force. The same seed and the same order of calls give the same faults. */
export class FaultDice {
  readonly faults: Faults;
  readonly #random: () => number;
  readonly #forgotten: ReadonlySet<string>;
  readonly #refused: ReadonlyMap<string, Refusal>;
  readonly #left: number[];

  constructor(faults: Faults) {
    this.faults = faults;
    this.#random = seededRandom(faults.seed ?? 1);
    this.#forgotten = new Set((faults.forgotten ?? []).map((email) => email.toLowerCase()));
    this.#refused = new Map(
      (faults.refuse ?? []).map(({ email, status, code, msg }) => [
        email.toLowerCase(),
        { status, code, msg: msg ?? '' },
      ]),
    );
    this.#left = (faults.random ?? []).map(({ times }) => times ?? Number.POSITIVE_INFINITY);
  }

  latencyMs(endpoint: Endpoint): number {
    const latency = this.faults.latency?.[endpoint] ?? this.faults.latency?.['*'];
    if (latency === undefined) return 0;
    return latency.ms + (latency.jitterMs ?? 0) * this.#random();
  }

  /** The fault that this call meets, if any. */
  roll(endpoint: Endpoint): RandomFault | null {
    for (const [index, fault] of (this.faults.random ?? []).entries()) {
      const here = fault.endpoint ?? '*';
      if ((here !== '*' && here !== endpoint) || (this.#left[index] ?? 0) <= 0) continue;
      if ((fault.rate ?? 1) < 1 && this.#random() >= (fault.rate ?? 1)) continue;
      this.#left[index] = (this.#left[index] ?? 0) - 1;
      return fault;
    }
    return null;
  }

  /** `email` is lower-cased. */
  refusalOf(email: string): Refusal | null {
    if (this.#forgotten.has(email)) {
      return { status: 409, code: 'ForgottenUserError', msg: 'The user has been forgotten' };
    }
    return this.#refused.get(email) ?? null;
  }
}

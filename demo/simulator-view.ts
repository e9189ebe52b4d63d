/** What the simulator and the running program say of themselves, over HTTP. */
import { NotSeenError } from './not-seen-error.ts';

/** An accepted profile (`id` null) or event; `at` is its arrival in epoch ms. */
export interface Arrival {
  seq: number;
  at: number;
  endpoint: string;
  email: string | null;
  id: string | null;
}

export interface HeldEvent {
  id: string;
  eventName: string;
  createdAt: number;
  dataFields: Record<string, unknown>;
}

export interface HeldUser {
  email: string;
  dataFields: Record<string, unknown>;
  events: Record<string, HeldEvent>;
}

export interface Held {
  counts: { users: number; events: number; repeatedEvents: number };
  users: HeldUser[];
}

interface Stats {
  endpoints: Record<string, { requests: number; statuses: Record<string, number> }>;
}

const TIMEOUT_MS = 5_000;

async function ask(url: string, body?: unknown): Promise<Response> {
  try {
    return await fetch(url, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
  } catch (cause) {
    throw new NotSeenError(`${url} does not answer`, { cause });
  }
}

export class SimulatorView {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async held(): Promise<Held> {
    return (await (await ask(`${this.url}/simulator/state`)).json()) as Held;
  }

  async user(email: string): Promise<HeldUser | null> {
    return (await this.held()).users.find((user) => user.email === email) ?? null;
  }

  /** What was accepted after `seq`. */
  async arrivals(seq: number): Promise<Arrival[]> {
    const response = await ask(`${this.url}/simulator/deliveries?since=${seq}`);
    return ((await response.json()) as { deliveries: Arrival[] }).deliveries;
  }

  async lastSeq(): Promise<number> {
    const response = await ask(`${this.url}/simulator/deliveries?limit=0`);
    return ((await response.json()) as { lastSeq: number }).lastSeq;
  }

  async stats(): Promise<Stats> {
    return (await (await ask(`${this.url}/simulator/stats`)).json()) as Stats;
  }

  /** How many calls were answered with this status. */
  async answers(status: number): Promise<number> {
    const { endpoints } = await this.stats();
    return Object.values(endpoints).reduce(
      (sum, { statuses }) => sum + (statuses[String(status)] ?? 0),
      0,
    );
  }

  /** Replaces the faults in force; `{}` ends them. */
  async setFaults(faults: Record<string, unknown>): Promise<void> {
    const response = await ask(`${this.url}/simulator/faults`, faults);
    if (!response.ok) throw new Error(`the simulator refused the faults: ${await response.text()}`);
  }
}

export class ProgramView {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async readiness(): Promise<{ status: number; reason: string }> {
    const response = await ask(`${this.url}/readyz`);
    return { status: response.status, reason: (await response.text()).trim() };
  }

  /** The sum of a metric's samples whose labels contain `labels`, e.g. `outcome="sent"`. */
  async metric(name: string, labels = ''): Promise<number> {
    const text = await (await ask(`${this.url}/metrics`)).text();
    return sumOf(text, `iterable_sync_${name}`, labels);
  }
}

/** Exported samples are lines such as `name{label="x"} 3`. */
function sumOf(exposition: string, name: string, labels: string): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    const sample = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample?.[1] === name && (sample[2] ?? '').includes(labels)) sum += Number(sample[3]);
  }
  return sum;
}

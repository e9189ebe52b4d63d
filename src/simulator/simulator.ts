/** Iterable's API on this machine, over real HTTP, to try everything without an account. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UnavailableError } from '../errors.ts';
import { answer } from './answers.ts';
import { Api } from './api.ts';
import { Project } from './calls.ts';
import { Control } from './control.ts';
import { routeOf } from './endpoints.ts';
import { FaultDice, type Faults } from './faults.ts';
import { Delays, send } from './http.ts';
import { Listener } from './listener.ts';
import { simulatorDefaults, type SimulatorOptions } from './options.ts';
import { Statistics, type Delivery } from './statistics.ts';
import type { SimulatedUser, StoreCounts } from './store.ts';

export type { Faults } from './faults.ts';

export type SimulatorStats = ReturnType<Statistics['snapshot']> & { state: StoreCounts };

export interface Simulator extends AsyncDisposable {
  /** Without a slash at the end, for ITERABLE_API_BASE_URL. */
  readonly url: string;
  readonly port: number;
  /** What it holds now, by lower-cased e-mail address (or `userId:` and the id). */
  readonly users: ReadonlyMap<string, SimulatedUser>;
  stats(): SimulatorStats;
  /** What was accepted with a `seq` above `since` (default 0), as far as it is remembered. */
  deliveries(since?: number): Delivery[];
  /** Replaces the faults in force; `{}` clears them. Resolves when the listening socket is so. */
  setFaults(faults: Faults): Promise<void>;
  /** Empties state and counts; faults stay, and so do the calls that the rate limits remember. */
  reset(): void;
}

/** Long, so that no idle connection is closed under a client that is about to use it. */
const KEEP_ALIVE_MS = 75_000;
/** A client that never ends its request is cut off; answers may take as long as faults ask for. */
const RECEIVING = {
  maxHeaderSize: 16_384,
  headersTimeout: 5_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 1_000,
};

/** Listens when it resolves. Throws UnavailableError where the address can't be had. */
export async function startSimulator(options: Partial<SimulatorOptions> = {}): Promise<Simulator> {
  const all: SimulatorOptions = { ...simulatorDefaults, ...options };
  const delays = new Delays();
  let dice = new FaultDice({});
  let endOutage: (() => void) | null = null;
  const statistics = new Statistics(all.deliveriesMax, all.nowMs());
  const project = new Project(all, (email) => dice.refusalOf(email));
  const api = new Api(all, project, statistics, delays, () => dice);

  const stats = (): SimulatorStats => ({ ...statistics.snapshot(), state: project.store.counts() });
  const reset = (): void => {
    project.clear();
    statistics.reset();
  };
  const applyFaults = (faults: Faults): void => {
    endOutage?.();
    dice = new FaultDice(faults);
    endOutage = null;
    if (faults.outage === undefined || faults.outageMs === undefined) return;
    endOutage = delays.start(faults.outageMs, () => {
      const { outage: _outage, outageMs: _outageMs, ...others } = dice.faults;
      applyFaults(others);
      follow(true);
    });
  };
  const follow = (listening: boolean): void => {
    listener.follow(listening).catch((error: unknown) => {
      all.log?.error({ error }, 'simulator: the address could not be had again');
    });
  };
  const setFaults = (faults: Faults): Promise<void> => {
    applyFaults(faults);
    return listener.follow(faults.outage !== 'refuse');
  };
  const control = new Control(all, {
    project,
    statistics,
    faults: () => dice.faults,
    setFaults: (faults) => {
      applyFaults(faults);
      // The answer to this very request goes out before its connection may be closed.
      setImmediate(() => follow(faults.outage !== 'refuse'));
    },
    reset,
    stats,
  });

  const server = createServer(
    { ...RECEIVING, keepAliveTimeout: KEEP_ALIVE_MS },
    (request, response) => {
      route(request, response, api, control);
    },
  );
  server.maxConnections = all.connectionsMax;
  const listener = new Listener(server, all.host, all.port);
  try {
    await listener.follow(true);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new UnavailableError(
      `The simulator can't listen on ${all.host}:${all.port} (${why}); choose another host or port.`,
      { cause },
    );
  }
  const { port } = server.address() as AddressInfo;
  const host = all.host.includes(':') ? `[${all.host}]` : all.host;

  return {
    url: `http://${host}:${port}`,
    port,
    users: project.store.users,
    stats,
    deliveries: (since = 0) => statistics.deliveries(since),
    setFaults,
    reset,
    async [Symbol.asyncDispose]() {
      delays.clear();
      await listener.end();
    },
  };
}

function route(
  request: IncomingMessage,
  response: ServerResponse,
  api: Api,
  control: Control,
): void {
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark + 1);
  if (!path.startsWith('/api/')) {
    control.serve(request, response, path, new URLSearchParams(query)).catch(() => {
      response.destroy();
    });
    return;
  }
  const found = routeOf(request.method ?? '', path);
  if (found === null) send(response, answer(404, 'NotFound', 'There is no such endpoint'));
  else void api.serve(request, response, found, query);
}

/** Iterable's side of the simulator: one request from arrival to answer, faults included. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer, badJson, badKey, html, rateLimited, tooLarge, type Answer } from './answers.ts';
import type { Call, Project, WritingEndpoint } from './calls.ts';
import { ENDPOINTS, type Endpoint, type Route } from './endpoints.ts';
import type { FaultDice, RandomFault } from './faults.ts';
import { breakConnection, closed, readBody, send, sendSlowly, type Delays } from './http.ts';
import { limitsOf, type SimulatorOptions } from './options.ts';
import { read } from './reading.ts';
import type { Read } from './requests.ts';
import type { Statistics } from './statistics.ts';
import { SlidingLimit } from './window.ts';

const SLOW_BODY_MS = 1000;

/** How the request ended: its status, or null when it was never answered. */
type Ended = number | null;

export class Api {
  readonly #project: Project;
  readonly #statistics: Statistics;
  readonly #options: SimulatorOptions;
  readonly #delays: Delays;
  readonly #keys: ReadonlySet<string>;
  readonly #limits = new Map<Endpoint, SlidingLimit>();
  readonly #dice: () => FaultDice;

  constructor(
    options: SimulatorOptions,
    project: Project,
    statistics: Statistics,
    delays: Delays,
    dice: () => FaultDice,
  ) {
    this.#options = options;
    this.#project = project;
    this.#statistics = statistics;
    this.#delays = delays;
    this.#dice = dice;
    this.#keys = new Set(options.apiKeys);
    const limits = limitsOf(options.limits);
    for (const endpoint of ENDPOINTS) {
      const limit = limits[endpoint];
      if (limit !== null) this.#limits.set(endpoint, new SlidingLimit(limit));
    }
  }

  /** Never rejects. */
  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route,
    query: string,
  ): Promise<void> {
    const at = this.#options.nowMs();
    this.#statistics.arrived(route.endpoint, at);
    this.#options.onArrival?.(route.endpoint, at);
    let status: Ended = null;
    try {
      status = await this.#serve(request, response, route, query, at);
    } catch (error) {
      this.#options.log?.error({ error, endpoint: route.endpoint }, 'simulator: a call failed');
      if (response.headersSent) response.destroy();
      else send(response, answer(500, 'GenericError', 'The simulator failed'));
    } finally {
      this.#statistics.ended(route.endpoint, at, status);
      this.#options.log?.debug({ endpoint: route.endpoint, status }, 'simulator: call');
    }
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route,
    query: string,
    at: number,
  ): Promise<Ended> {
    const { endpoint } = route;
    if (this.#dice().faults.outage === 'reset') {
      breakConnection(request);
      return null;
    }
    const refused = this.#refusedAtOnce(request, endpoint, at);
    if (refused !== null) return sent(response, refused);
    if (request.method === 'GET') {
      const call: Call = {
        userKeys: [],
        carryOut: () => ({
          answer: read(this.#project, route, new URLSearchParams(query)),
          accepted: [],
        }),
      };
      return this.#carryOut(request, response, endpoint, call, at);
    }
    const body = await readBody(request, this.#options.bodyBytesMax);
    if ('unusable' in body && body.unusable === 'aborted') return null;
    const call = this.#read(endpoint as WritingEndpoint, body);
    if ('refusal' in call) return sent(response, call.refusal);
    return this.#carryOut(request, response, endpoint, call.value, at);
  }

  /** Refusals that need no body, in the order in which a gateway would find them. */
  #refusedAtOnce(request: IncomingMessage, endpoint: Endpoint, at: number): Answer | null {
    const { faults } = this.#dice();
    if (faults.outage === 'unavailable') return html(503, 'Service Unavailable');
    const key = request.headers['api-key'];
    const known =
      typeof key === 'string' && key !== '' && (this.#keys.size === 0 || this.#keys.has(key));
    if (!known || faults.unauthorized === true) return badKey(endpoint);
    const waitMs = this.#limits.get(endpoint)?.take(at) ?? 0;
    if (waitMs === 0) return null;
    return rateLimited(this.#options.retryAfter ? Math.ceil(waitMs / 1000) : undefined);
  }

  #read(endpoint: WritingEndpoint, body: { text: string } | { unusable: string }): Read<Call> {
    if ('text' in body) return this.#project.read(endpoint, body.text, this.#options.nowMs());
    if (body.unusable === 'tooLarge') return { refusal: tooLarge(this.#options.bodyBytesMax) };
    return { refusal: badJson('The body is not UTF-8') };
  }

  async #carryOut(
    request: IncomingMessage,
    response: ServerResponse,
    endpoint: Endpoint,
    call: Call,
    at: number,
  ): Promise<Ended> {
    const dice = this.#dice();
    const fault = dice.roll(endpoint);
    const latencyMs = dice.latencyMs(endpoint);
    const leave = this.#enter(endpoint, call.userKeys);
    // A client that has given up may call again: for it, the call has ended.
    if (latencyMs > 0 || fault !== null) response.once('close', leave);
    try {
      if (latencyMs > 0) await this.#delays.wait(latencyMs);
      // Carried out after the wait, so that overlapping calls of one user can overtake each other.
      if (fault === null) {
        return sent(response, this.#apply(endpoint, call, at));
      }
      const applied = fault.applied ?? fault.kind === 'slowBody';
      const real = applied ? this.#apply(endpoint, call, at) : null;
      return await this.#meet(request, response, fault, real);
    } finally {
      leave();
    }
  }

  #apply(endpoint: Endpoint, call: Call, at: number): Answer {
    const { answer: given, accepted } = call.carryOut(this.#options.nowMs());
    this.#statistics.accepted(endpoint, at, accepted);
    this.#options.onAccepted?.(endpoint, at, accepted);
    return given;
  }

  async #meet(
    request: IncomingMessage,
    response: ServerResponse,
    fault: RandomFault,
    real: Answer | null,
  ): Promise<Ended> {
    switch (fault.kind) {
      case 'hang':
        await closed(response);
        return null;
      case 'reset':
        breakConnection(request);
        return null;
      case 'html':
        return sent(response, html(200, 'Please wait'));
      case 'status':
        return sent(response, statusFault(fault));
      case 'slowBody': {
        const slow = real ?? answer(200, 'Success', '');
        await sendSlowly(response, slow, fault.durationMs ?? SLOW_BODY_MS, this.#delays);
        return slow.status;
      }
    }
  }

  /** Notes that a call for these users is under way; the returned function ends it, once. */
  #enter(endpoint: Endpoint, userKeys: readonly string[]): () => void {
    if (userKeys.length === 0) return () => {};
    const kind = endpoint.startsWith('users/') ? 'update' : 'track';
    this.#statistics.enter(kind, userKeys);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#statistics.leave(kind, userKeys);
    };
  }
}

function sent(response: ServerResponse, given: Answer): number {
  send(response, given);
  return given.status;
}

/** Iterable's own errors are JSON; 502, 503 and 504 come from what stands before it, in HTML. */
function statusFault({ status = 500, retryAfterSeconds }: RandomFault): Answer {
  const plain =
    status === 429
      ? rateLimited()
      : status >= 502 && status <= 504
        ? html(status, 'Gateway error')
        : answer(
            status,
            status === 401 ? 'BadApiKey' : 'GenericError',
            'A fault that was asked for',
          );
  return retryAfterSeconds === undefined ? plain : { ...plain, retryAfterSeconds };
}

/** The simulator's own paths: the page, what it holds, what it counted, faults and reset. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { answer, badJson, badParams, json, type Answer } from './answers.ts';
import type { Project } from './calls.ts';
import { readFaults, type Faults } from './faults.ts';
import { readBody, send } from './http.ts';
import type { SimulatorOptions } from './options.ts';
import { page } from './page.ts';
import { parseJson } from './requests.ts';
import type { Statistics } from './statistics.ts';
import type { SimulatedUser } from './store.ts';

const DELIVERIES_DEFAULT = 10_000;
const CHUNK_CHARS = 64 * 1024;

/** The parts of the simulator that the control API drives. */
export interface Controlled {
  readonly project: Project;
  readonly statistics: Statistics;
  faults(): Faults;
  /** Takes effect before it returns, but for a listening socket, which closes and opens later. */
  setFaults(faults: Faults): void;
  reset(): void;
  stats(): unknown;
}

/** The name in a Host header or an Origin, without the port; null where there is none. */
function hostName(host: string | undefined): string | null {
  const found = /^(\[[0-9a-f:.]+\]|[^:/\s@]+)(?::\d+)?$/i.exec(host ?? '');
  return found?.[1]?.toLowerCase() ?? null;
}

/**
 * Whether a browser may have sent this on behalf of its user: a page of another site must neither
 * read this one under a name that points here (DNS rebinding) nor send forms to it.
 */
function isFromHere(headers: IncomingHttpHeaders, names: ReadonlySet<string>): boolean {
  const host = hostName(headers.host);
  if (host === null || !names.has(host)) return false;
  if (headers.origin === undefined) return true;
  const origin = hostName(/^https?:\/\/(.+)$/.exec(headers.origin)?.[1]);
  return origin !== null && names.has(origin);
}

/** A user with profile and events, events by id. */
function userAsJson(user: SimulatedUser): string {
  const events = Object.create(null) as Record<string, unknown>;
  for (const [id, event] of user.events) events[id] = event;
  return JSON.stringify({ ...user, events });
}

function* stateInPieces(project: Project, offset: number, limit: number): Generator<string> {
  let text = `{"counts":${JSON.stringify(project.store.counts())},"offset":${offset},"users":[`;
  let index = 0;
  for (const user of project.store.users.values()) {
    index += 1;
    if (index <= offset) continue;
    if (index > offset + limit) break;
    text += (index > offset + 1 ? ',\n' : '\n') + userAsJson(user);
    if (text.length < CHUNK_CHARS) continue;
    yield text;
    text = '';
  }
  yield `${text}]}\n`;
}

/** A whole number of at least 0 from the query, `standard` where it is not given, or null. */
function count(query: URLSearchParams, name: string, standard: number): number | null {
  const text = query.get(name);
  if (text === null) return standard;
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

export class Control {
  readonly #controlled: Controlled;
  readonly #bodyBytesMax: number;
  readonly #names: ReadonlySet<string>;

  constructor(options: SimulatorOptions, controlled: Controlled) {
    this.#controlled = controlled;
    this.#bodyBytesMax = options.bodyBytesMax;
    const bound = options.host.includes(':') ? `[${options.host}]` : options.host;
    this.#names = new Set(
      ['127.0.0.1', 'localhost', '[::1]', bound, ...options.allowedHosts].map((name) =>
        name.toLowerCase(),
      ),
    );
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    query: URLSearchParams,
  ): Promise<void> {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
    if (!isFromHere(request.headers, this.#names)) {
      send(response, answer(403, 'Forbidden', 'This host name is not allowed (see allowedHosts)'));
      return;
    }
    if (request.method === 'GET' && path === '/simulator/state') {
      await this.#streamState(response, query);
      return;
    }
    send(response, await this.#answer(request, path, query));
  }

  async #answer(request: IncomingMessage, path: string, query: URLSearchParams): Promise<Answer> {
    const { project, statistics } = this.#controlled;
    switch (`${request.method} ${path}`) {
      case 'GET /':
        return {
          ...json(null),
          body: page(project, statistics),
          contentType: 'text/html; charset=utf-8',
        };
      case 'GET /simulator/stats':
        return json(this.#controlled.stats());
      case 'GET /simulator/deliveries':
        return this.#deliveries(query);
      case 'GET /simulator/faults':
        return json(this.#controlled.faults());
      case 'POST /simulator/faults':
        return this.#setFaults(request);
      case 'POST /simulator/reset':
      case 'DELETE /simulator/state':
        this.#controlled.reset();
        return json({ reset: true });
      default:
        return answer(404, 'NotFound', 'There is no such path');
    }
  }

  #deliveries(query: URLSearchParams): Answer {
    const since = count(query, 'since', 0);
    const limit = count(query, 'limit', DELIVERIES_DEFAULT);
    if (since === null || limit === null) return badParams('since and limit must be whole numbers');
    const { statistics } = this.#controlled;
    const deliveries = statistics.deliveries(since, limit);
    return json({ lastSeq: statistics.lastSeq, deliveries });
  }

  async #setFaults(request: IncomingMessage): Promise<Answer> {
    const body = await readBody(request, this.#bodyBytesMax);
    if ('unusable' in body) return badJson(`The body is ${body.unusable}`);
    const parsed = parseJson(body.text);
    if ('refusal' in parsed) return parsed.refusal;
    const read = readFaults(parsed.value);
    if ('problem' in read) return badParams(read.problem);
    if (read.faults.outage === 'refuse' && read.faults.outageMs === undefined) {
      return badParams('outage refuse needs outageMs: no call could end it');
    }
    this.#controlled.setFaults(read.faults);
    return json(read.faults);
  }

  async #streamState(response: ServerResponse, query: URLSearchParams): Promise<void> {
    const offset = count(query, 'offset', 0);
    const limit = count(query, 'limit', Number.MAX_SAFE_INTEGER);
    if (offset === null || limit === null) {
      send(response, badParams('offset and limit must be whole numbers'));
      return;
    }
    response.writeHead(200, { 'Content-Type': 'application/json' });
    const pieces = Readable.from(stateInPieces(this.#controlled.project, offset, limit));
    // A client that goes away is no fault of the simulator.
    await pipeline(pieces, response).catch(() => undefined);
  }
}

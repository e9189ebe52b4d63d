import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { UnavailableError } from '../errors.ts';
import { oneLine, plainJson } from '../plain-text.ts';
import type { HttpSettings } from '../settings/types.ts';

/** What the pages say; asked anew for every request. */
export interface Observed {
  /** Empty when everything is connected and moving; else one reason a line. */
  notReady(): string[];
  /** Without secrets, e-mail addresses or payloads. */
  status(): Promise<Record<string, unknown>>;
  metrics(): Promise<string>;
}

export interface HttpServer extends AsyncDisposable {
  url: string;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const UNKNOWN_HOST =
  'this name is not known here: ask for 127.0.0.1, for localhost, or for what HTTP_HOST says\n';

/** The page is text, and whoever embeds or sniffs it gets nothing. */
const HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cache-Control': 'no-store',
};

/**
 * Whether the Host header names this server as it was bound: a page of another site whose name
 * was rebound to 127.0.0.1 sends its own name. A server bound to all addresses cannot tell.
 */
export function isExpectedHost(header: string | undefined, boundHost: string): boolean {
  if (boundHost === '0.0.0.0' || boundHost === '::') return true;
  const host = (header ?? '')
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  return host === boundHost.toLowerCase() || ['127.0.0.1', 'localhost', '::1'].includes(host);
}

class PortTakenError extends UnavailableError {}

const DEFAULT_PORT = 9464;
const CONNECTIONS_MAX = 100;
/** Nothing was read or written for so long: whoever asked does not read the answer. */
const IDLE_MS_MAX = 10_000;

/** Bounds of what one connection may ask for; the times hold to the next whole second. */
const LIMITS = {
  /** Request line and headers together; more is answered with 431. */
  maxHeaderSize: 8192,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};
const HEADERS_MAX = 60;

/** Serves /healthz, /readyz, /metrics, /status and /, or returns null where HTTP_PORT is off. */
export async function serveObserved(
  settings: HttpSettings,
  observed: Observed,
): Promise<HttpServer | null> {
  if (settings.port === null) return null;
  const { host, port } = settings;
  const server = createServer(LIMITS, (request, response) => {
    void answer(request, response, host, observed).catch(() => {
      if (!response.headersSent) send(response, 500, TEXT_TYPE, 'internal error\n');
      else response.destroy();
    });
  });
  server.maxHeadersCount = HEADERS_MAX;
  server.setTimeout(IDLE_MS_MAX);
  keepRoom(server);
  await listen(server, host, port).catch(async (error: unknown) => {
    // Several instances on one machine: who did not choose a port gets another one.
    if (port !== DEFAULT_PORT || !(error instanceof PortTakenError)) throw error;
    await listen(server, host, 0);
  });
  const address = server.address() as AddressInfo;
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Where all places are taken, the connection that is there longest gives way to the newest. */
function keepRoom(server: Server): void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    if (open.size <= CONNECTIONS_MAX) return;
    const [oldest] = open;
    oldest?.destroy();
  });
}

/** A request that brings a body is refused: nothing here takes one. */
function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const problem = isTaken ? 'is taken' : `cannot be used (${error.code})`;
      const message = `HTTP_PORT ${port} on ${host} ${problem}; choose another one, 0 for any free one, or off`;
      reject(isTaken ? new PortTakenError(message) : new UnavailableError(message));
    });
    server.listen(port, host, resolve);
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  boundHost: string,
  observed: Observed,
): Promise<void> {
  if (hasBody(request)) {
    // What comes of it is not waited for.
    response.setHeader('Connection', 'close');
    response.once('finish', () => request.socket.destroySoon());
    return send(response, 413, TEXT_TYPE, 'no body is wanted here\n');
  }
  request.resume();
  if (!isExpectedHost(request.headers.host, boundHost)) {
    return send(response, 403, TEXT_TYPE, UNKNOWN_HOST);
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return send(response, 405, TEXT_TYPE, 'only GET and HEAD\n');
  }
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  switch (path) {
    case '/healthz':
      return send(response, 200, TEXT_TYPE, 'alive\n');
    case '/readyz': {
      const reasons = observed.notReady();
      if (reasons.length === 0) return send(response, 200, TEXT_TYPE, 'ready\n');
      return send(response, 503, TEXT_TYPE, `${reasons.map(oneLine).join('\n')}\n`);
    }
    case '/metrics':
      return send(
        response,
        200,
        'text/plain; version=0.0.4; charset=utf-8',
        await observed.metrics(),
      );
    case '/status':
      return send(response, 200, JSON_TYPE, `${plainJson(await observed.status(), 2)}\n`);
    case '/':
      return send(response, 200, TEXT_TYPE, await plainPage(observed));
    default:
      return send(
        response,
        404,
        TEXT_TYPE,
        'there are /, /healthz, /readyz, /metrics and /status\n',
      );
  }
}

async function plainPage(observed: Observed): Promise<string> {
  const reasons = observed.notReady();
  const state = reasons.length === 0 ? 'ready' : `not ready: ${oneLine(reasons.join('; '))}`;
  return `iterable-sync is ${state}\n\n${plainJson(await observed.status(), 2)}\n`;
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': type });
  response.end(body);
}

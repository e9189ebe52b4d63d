import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What stands in the way of a call: an answer in its place, or a delay before it goes on. */
export interface Obstacle {
  delayMs?: number;
  status?: number;
  body?: string;
}

export interface Gateway extends AsyncDisposable {
  /** For ITERABLE_API_BASE_URL. */
  readonly url: string;
}

/** Stands before an Iterable: passes calls on, but for what `obstacle` says of their content. */
export async function startGateway(
  target: string,
  obstacle: (path: string, body: string) => Obstacle | null,
): Promise<Gateway> {
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const path = request.url ?? '/';
    const found = obstacle(path, body);
    if (found?.delayMs !== undefined) await sleep(found.delayMs, undefined, { ref: false });
    if (found?.status !== undefined) {
      response.writeHead(found.status, { 'Content-Type': 'text/html' });
      response.end(found.body ?? '<html>no</html>');
      return;
    }
    const key = request.headers['api-key'];
    const answer = await fetch(target + path, {
      method: request.method ?? 'GET',
      headers: {
        'Api-Key': typeof key === 'string' ? key : '',
        'Content-Type': 'application/json',
      },
      ...(request.method === 'GET' ? {} : { body }),
    });
    response.writeHead(answer.status, { 'Content-Type': 'application/json' });
    response.end(await answer.text());
  };
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

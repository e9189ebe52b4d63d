/** The thin layer over node:http: bodies in, answers out, connections broken on demand. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from './answers.ts';

/** A body beyond its limit is read to here, so that the client gets to see the answer. */
const DRAINED_BYTES_MAX = 64 * 1024 * 1024;
const SLOW_PIECES = 10;

export type Body = { text: string } | { unusable: 'tooLarge' | 'notUtf8' | 'aborted' };

/** Reads the whole body; what is beyond `bytesMax` is thrown away while it arrives. */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Body> {
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) chunks.push(chunk);
      else chunks = [];
      if (bytes > DRAINED_BYTES_MAX) request.destroy();
    });
    request.on('end', () => {
      if (bytes > bytesMax) return resolve({ unusable: 'tooLarge' });
      const whole = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      return resolve(isUtf8(whole) ? { text: whole.toString() } : { unusable: 'notUtf8' });
    });
    request.on('error', () => resolve({ unusable: 'aborted' }));
    request.on('close', () => resolve({ unusable: 'aborted' }));
  });
}

function writeHead(response: ServerResponse, answer: Answer): void {
  const headers: Record<string, string | number> = {
    'Content-Type': answer.contentType ?? 'application/json',
    'Content-Length': Buffer.byteLength(answer.body),
  };
  if (answer.retryAfterSeconds !== undefined) headers['Retry-After'] = answer.retryAfterSeconds;
  response.writeHead(answer.status, headers);
}

export function send(response: ServerResponse, answer: Answer): void {
  if (response.destroyed) return;
  writeHead(response, answer);
  response.end(answer.body);
}

/** Sends the headers at once and the body in pieces over `durationMs`. */
export async function sendSlowly(
  response: ServerResponse,
  answer: Answer,
  durationMs: number,
  delays: Delays,
): Promise<void> {
  writeHead(response, answer);
  response.flushHeaders();
  const body = Buffer.from(answer.body);
  const pieceBytes = Math.max(1, Math.ceil(body.length / SLOW_PIECES));
  const pieces = Math.ceil(body.length / pieceBytes);
  for (let i = 0; i < pieces && !response.destroyed; i += 1) {
    await delays.wait(durationMs / pieces);
    response.write(body.subarray(i * pieceBytes, (i + 1) * pieceBytes));
  }
  response.end();
}

/** Resolves when the client or the server has closed the connection. */
export function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed) resolve();
    else response.once('close', () => resolve());
  });
}

/** Breaks the connection with a TCP reset, so that the client sees ECONNRESET. */
export function breakConnection(request: IncomingMessage): void {
  request.socket.resetAndDestroy();
}

/** Timers that end together; a wait that was cleared never resolves. */
export class Delays {
  readonly #timers = new Set<NodeJS.Timeout>();

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.start(ms, resolve);
    });
  }

  start(ms: number, then: () => void): () => void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, ms);
    this.#timers.add(timer);
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

import { type AddressInfo } from 'node:net';
import { type ServerResponse, createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/model/clock.ts';
import { IterableHttp } from '../../src/sinks/iterable/http.ts';

async function serving(
  answer: (response: ServerResponse) => void,
): Promise<AsyncDisposable & { http: (timeoutMs: number) => IterableHttp }> {
  const server = createServer((request, response) => {
    request.resume();
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    http: (timeoutMs) =>
      new IterableHttp({
        apiKey: 'key',
        baseUrl,
        timeoutMs,
        connectionsMax: 2,
        clock: systemClock,
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const NO_ANSWER = {
  kind: 'retry',
  status: null,
  message: expect.stringContaining('no answer within 100 ms') as string,
};

describe('a call to Iterable', () => {
  it('ends in time where nothing answers, and where an answer begins and does not end', async () => {
    await using silent = await serving(() => undefined);
    await using half = await serving((response) => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.write('{"code":');
    });
    for (const { http } of [silent, half]) {
      await using client = http(100);
      // More than there are connections: those that wait for one end in time as well.
      const calls = Array.from({ length: 5 }, () => client.post('/api/users/update', '{}'));
      for (const reply of await Promise.all(calls)) expect(reply).toMatchObject(NO_ANSWER);
    }
  });

  it('leaves no timer behind once it has been answered', async () => {
    await using server = await serving((response) => response.end('{"code":"Success"}'));
    await using client = server.http(60_000);
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    await client.post('/api/users/update', '{}');
    const before = timers();
    const calls = Array.from({ length: 50 }, () => client.post('/api/users/update', '{}'));
    for (const reply of await Promise.all(calls)) expect(reply).toMatchObject({ kind: 'ok' });
    expect(timers()).toBeLessThan(before + 25);
  });

  it('reads an answer that comes in pieces, after an informational one', async () => {
    const [first, second] = ['{"code":"Bad€', 'Params"}'].map((text) => Buffer.from(text));
    await using server = await serving((response) => {
      response.writeProcessing();
      response.writeHead(400, { 'Content-Type': 'application/json' });
      response.write(first?.subarray(0, 11));
      setTimeout(
        () => response.end(Buffer.concat([first?.subarray(11) ?? first, second] as Buffer[])),
        20,
      );
    });
    await using client = server.http(5_000);
    const reply = await client.post('/api/users/update', '{}');
    expect(reply).toMatchObject({ kind: 'refused', status: 400, code: 'Bad€Params' });
  });

  it('gives up an answer that is too large, and goes on', async () => {
    let isLarge = true;
    await using server = await serving((response) => {
      if (isLarge) response.write(Buffer.alloc(9 * 1024 * 1024, ' '));
      else response.end('{"code":"Success"}');
      isLarge = false;
    });
    await using client = server.http(5_000);
    const reply = await client.post('/api/users/update', '{}');
    expect(reply).toMatchObject({ kind: 'retry', message: 'the answer is over 8388608 bytes' });
    expect(await client.post('/api/users/update', '{}')).toMatchObject({ kind: 'ok' });
  });
});

import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { type Observed, isExpectedHost, serveObserved } from '../../src/observe/http-server.ts';

function observed(reasons: string[]): Observed {
  return {
    notReady: () => reasons,
    status: () => Promise.resolve({ fine: true }),
    metrics: () => Promise.resolve('metric 1\n'),
  };
}

function statusWithHost(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${url}/status`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

describe('the status server', () => {
  it('says whether it is alive, ready, and how it is doing', async () => {
    await using well = await serveObserved({ host: '127.0.0.1', port: 0 }, observed([]));
    await using ill = await serveObserved(
      { host: '127.0.0.1', port: 0 },
      observed(['database: away']),
    );
    const get = async (url: string | undefined): Promise<[number, string]> => {
      const response = await fetch(url ?? '');
      return [response.status, await response.text()];
    };
    expect(await get(`${well?.url}/healthz`)).toEqual([200, 'alive\n']);
    expect(await get(`${well?.url}/readyz`)).toEqual([200, 'ready\n']);
    expect(await get(`${ill?.url}/healthz`)).toEqual([200, 'alive\n']);
    expect(await get(`${ill?.url}/readyz`)).toEqual([503, 'database: away\n']);
    expect(await get(`${well?.url}/metrics`)).toEqual([200, 'metric 1\n']);
    expect((await get(`${well?.url}/status?x=<script>`))[1]).not.toContain('script');
    expect((await get(`${well?.url}/other`))[0]).toBe(404);
  });

  it('answers nobody who comes under another name (DNS rebinding)', async () => {
    await using server = await serveObserved({ host: '127.0.0.1', port: 0 }, observed([]));
    expect(await statusWithHost(server?.url ?? '', 'evil.example')).toBe(403);
    expect(await statusWithHost(server?.url ?? '', 'localhost')).toBe(200);
    expect(isExpectedHost('[::1]:9464', '127.0.0.1')).toBe(true);
    expect(isExpectedHost(undefined, '127.0.0.1')).toBe(false);
    expect(isExpectedHost('pod-1.internal:9464', '0.0.0.0')).toBe(true);
  });

  it('takes a free port where the default one is taken, and says so of any other', async () => {
    await using first = await serveObserved({ host: '127.0.0.1', port: 9464 }, observed([]));
    await using second = await serveObserved({ host: '127.0.0.1', port: 9464 }, observed([]));
    expect(second?.url).not.toBe(first?.url);
    const port = Number(second?.url.split(':').at(-1));
    await expect(serveObserved({ host: '127.0.0.1', port }, observed([]))).rejects.toThrow(
      /HTTP_PORT/,
    );
    expect(await serveObserved({ host: '127.0.0.1', port: null }, observed([]))).toBeNull();
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Program, until } from '../support/program.ts';
import { complaints } from '../support/promtool.ts';
import { stage } from '../support/stage.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

describe('/metrics of a running program', () => {
  it('has every figure, and promtool has no complaint', async () => {
    await using on = await stage();
    await on.simulator.setFaults({
      refuse: [{ email: 'mike.chen@email.com', status: 400, code: 'InvalidEmailAddressError' }],
    });
    await using program = new Program(['run'], on.env);
    const url = await program.ready();
    const page = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
    const has = (line: RegExp) => async () => line.test(await page());
    await until('two are there', has(/deliveries_total\{outcome="sent"\} 2/));
    await until('one is refused', has(/deliveries_total\{outcome="refused"\} 1/));
    await on.simulator.setFaults({ outage: 'unavailable' });
    await on.database.connection.query(
      "INSERT INTO page_views (user_id, page) VALUES (1, 'pricing'), (4, 'home')",
    );
    await until('both are captured', has(/captured_rows_total\{kind="page_views.insert"\} 2/));
    await until('a call is made again', has(/retries_total\{/));
    const metrics = await page();
    const values = [
      'captured_rows_total{kind="page_views.insert"} 2',
      'deliveries_total{outcome="refused"} 1',
      'iterable_requests_total{endpoint="users/update",status="200"} 2',
      'commit_to_delivery_seconds_count 2',
      'ready [01]',
      'capture_state{state="streaming"} 1',
      'capture_state{state="reconnecting"} 0',
      'dead_letters 1',
      'rate_share 1',
      'retries_total{endpoint="users/update",reason="server-error"} [1-9]\\d*',
      'resyncs_total{reason="first-start"} 1',
      `build_info{version="${version}",node="${process.versions.node}"} 1`,
      'capture_position_age_seconds [\\d.e-]+',
      'topic_lag_messages{topic="page_views"} \\d+',
    ];
    for (const value of values) {
      const line = value.replaceAll(/[{}]/g, String.raw`\$&`);
      expect(metrics).toMatch(new RegExp(`^iterable_sync_${line}$`, 'm'));
    }
    expect(metrics).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(metrics).toMatch(/^nodejs_eventloop_lag_seconds [\d.e-]+$/m);
    expect(await complaints(metrics)).toBe('');
    // It complains where there is something to complain of.
    expect(await complaints('# TYPE a_total gauge\na_total 1\n')).not.toBe('');
  });
});

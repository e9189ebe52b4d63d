import type { RowDataPacket } from 'mysql2/promise';
import type { Printer } from './print.ts';
import type { Stage } from './stage.ts';
import { eventId, expect } from './views.ts';

/** Phase 2, query 2, in the demo's own words: what the program made of it is compared with this. */
const LATEST_VIEWS = `WITH ranked_views AS (
  SELECT c.email, pv.id, pv.page,
         ROW_NUMBER() OVER (PARTITION BY c.id ORDER BY pv.event_time DESC, pv.id DESC) AS view_rank
  FROM customers c JOIN page_views pv ON c.id = pv.user_id
  WHERE c.plan_type = 'pro' AND pv.page IN ('pricing', 'settings')
    AND pv.event_time >= DATE_SUB(CURDATE(), INTERVAL 7 DAY))
SELECT email, id, page FROM ranked_views WHERE view_rank = 1 ORDER BY email`;

const COUNTS =
  'SELECT (SELECT COUNT(*) FROM customers) AS customers, (SELECT COUNT(*) FROM page_views) AS views';

/** Step 7. */
export async function summary({ sql, simulator, program }: Stage, printer: Printer): Promise<void> {
  printer.step('What MySQL says, and what Iterable holds');
  const [latest] = await sql.query<RowDataPacket[]>(LATEST_VIEWS);
  const [counts] = await sql.query<RowDataPacket[]>(COUNTS);
  const held = await simulator.held();
  const rows = latest.map((row) => {
    const email = String(row['email']);
    const id = eventId(Number(row['id']));
    const event = held.users.find((user) => user.email === email)?.events[id] ?? null;
    return { email, view: `${id}, ${row['page']}`, event };
  });
  printer.table([
    ['the rule, asked of MySQL', 'latest view', 'held by Iterable'],
    ...rows.map(({ email, view, event }) => [email, view, event?.id ?? 'missing']),
  ]);
  printer.line();
  const { endpoints } = await simulator.stats();
  const requests = Object.values(endpoints).reduce((sum, endpoint) => sum + endpoint.requests, 0);
  const refused = await program.metric('deliveries_total', 'outcome="refused"');
  const { users, events } = held.counts;
  const { customers, views } = { ...counts[0] };
  printer.table([
    ['MySQL', '', 'Iterable', ''],
    ['customers', String(customers), 'profiles', String(users)],
    ['page views', String(views), 'events', String(events)],
    ['found by the rule', String(latest.length), 'calls', String(requests)],
    ['', '', 'of these answered 503', String(await simulator.answers(503))],
    ['', '', 'of these answered 429', String(await simulator.answers(429))],
    ['', '', 'refused for good', String(refused)],
  ]);
  printer.line();
  expect(
    rows.every(({ event }) => event !== null),
    'Iterable holds the latest view of each of them',
  );
  expect(users === latest.length, 'Iterable holds these users and no others');
  printer.seen('Iterable holds exactly these users, each with its latest view');
}

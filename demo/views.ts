import type { ResultSetHeader } from 'mysql2/promise';
import { NotSeenError } from './not-seen-error.ts';
import type { Arrival } from './simulator-view.ts';
import type { Stage } from './stage.ts';

/** Customers of the seed data. */
export const KATE = { id: 9, email: 'kate.taylor@email.com' };
export const JOHN = { id: 4, email: 'john.smith@email.com' };
/** Those whom the rule finds in it. */
export const SEEDED = [
  { id: 1, email: 'sarah.johnson@email.com' },
  { id: 2, email: 'mike.chen@email.com' },
  { id: 3, email: 'emma.davis@email.com' },
];
export const ARRIVAL_MS_MAX = 10_000;

/** Epoch ms with a fraction, on the clock that the simulator stamps arrivals with. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

export const eventId = (viewId: number): string => `page-view-${viewId}`;

export const insertSql = (userId: number, page: string): string =>
  'INSERT INTO page_views (user_id, page, device, browser, location)\n' +
  `VALUES (${userId}, '${page}', 'mobile', 'Chrome', 'Austin, TX');`;

/** @throws NotSeenError when what the demo promises is not so. */
export function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new NotSeenError(`this is not so: ${what}`);
}

/** Inserts a view in a transaction of its own; `committingMs` is the moment before its COMMIT. */
export async function insertView(
  { sql }: Stage,
  userId: number,
  page = 'pricing',
): Promise<{ viewId: number; committingMs: number }> {
  await sql.beginTransaction();
  const [{ insertId }] = await sql.query<ResultSetHeader>(insertSql(userId, page));
  const committingMs = nowMs();
  await sql.commit();
  return { viewId: insertId, committingMs };
}

/** The events/track of this view, once it has arrived. */
export async function arrivalOf(
  stage: Stage,
  viewId: number,
  since: number,
  timeoutMs = ARRIVAL_MS_MAX,
): Promise<Arrival> {
  const id = eventId(viewId);
  return await stage.until(`${id} arrives at Iterable`, timeoutMs, async () => {
    const arrivals = await stage.simulator.arrivals(since);
    return arrivals.find((arrival) => arrival.id === id) ?? null;
  });
}

import type { Connection } from 'mysql2/promise';
import type { Simulator } from '../../src/simulator/simulator.ts';

type Row = Readonly<Record<string, unknown>>;

/**
 * The contract's rule, word by word, independent of sql/rule.sql. TIMESTAMPs are read as text in
 * the session's time zone, which is UTC in tests.
 */
const RULE = `
  WITH ranked_views AS (
    SELECT c.id, c.email, c.first_name, c.last_name, c.plan_type, c.candidate,
           pv.id AS page_view_id, pv.page, pv.device, pv.browser, pv.location,
           DATE_FORMAT(pv.event_time, '%Y-%m-%d %H:%i:%s') AS event_text,
           UNIX_TIMESTAMP(pv.event_time) AS epoch,
           ROW_NUMBER() OVER (PARTITION BY c.id ORDER BY pv.event_time DESC, pv.id DESC) AS view_rank
    FROM customers c JOIN page_views pv ON c.id = pv.user_id
    WHERE c.plan_type = 'pro' AND pv.page IN ('pricing','settings')
      AND pv.event_time >= DATE_SUB(CURDATE(), INTERVAL 7 DAY)
      /* users */)
  SELECT * FROM ranked_views WHERE view_rank = 1 ORDER BY id`;

/** What Iterable should hold for one user. */
export interface Expected {
  userId: string;
  /** Lower-cased. */
  email: string;
  profile: Record<string, unknown>;
  eventId: string;
  event: Record<string, unknown>;
}

function withoutNulls(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** By e-mail address, lower-cased; of these users alone where they are given. */
export async function expectedNow(
  connection: Connection,
  userIds: readonly string[] | null = null,
): Promise<Map<string, Expected>> {
  const sql = userIds === null ? RULE : RULE.replace('/* users */', 'AND c.id IN (?)');
  const [rows] = await connection.query(sql, userIds === null ? [] : [userIds]);
  return new Map(
    (rows as Row[]).map((row) => [
      String(row['email']).toLowerCase(),
      {
        userId: String(row['id']),
        email: String(row['email']).toLowerCase(),
        profile: withoutNulls({
          first_name: row['first_name'],
          last_name: row['last_name'],
          plan_type: row['plan_type'],
          recent_page_view: true,
          candidate: row['candidate'],
        }),
        eventId: `page-view-${String(row['page_view_id'])}`,
        event: {
          createdAt: Math.floor(Number(row['epoch'])),
          dataFields: withoutNulls({
            page: row['page'],
            device: row['device'],
            location: row['location'],
            timestamp: row['event_text'],
            candidate: row['candidate'],
          }),
        },
      },
    ]),
  );
}

/**
 * What is wrong with what the simulator holds: users and latest views that are missing or differ
 * (holes), and users or events that no row of the database explains (phantoms).
 */
export async function differences(connection: Connection, simulator: Simulator): Promise<string[]> {
  const expected = await expectedNow(connection);
  const problems: string[] = [];
  for (const [email, wanted] of expected) {
    const user = simulator.users.get(email);
    if (user === undefined) {
      problems.push(`hole: ${email} is missing`);
      continue;
    }
    // A field that became NULL is left out of later updates, so the old value may stay.
    for (const [name, value] of Object.entries(wanted.profile)) {
      const held = user.dataFields[name];
      if (held !== value)
        problems.push(`hole: ${email} ${name} is ${String(held)}, not ${String(value)}`);
    }
    const event = user.events.get(wanted.eventId);
    if (event === undefined) problems.push(`hole: ${email} has no ${wanted.eventId}`);
    else {
      const held = JSON.stringify({ createdAt: event.createdAt, dataFields: event.dataFields });
      if (held !== JSON.stringify(wanted.event)) {
        problems.push(
          `hole: ${email} ${wanted.eventId} is ${held}, not ${JSON.stringify(wanted.event)}`,
        );
      }
    }
  }
  return [...problems, ...(await phantoms(connection, simulator))];
}

/** Every event sent was once a view that counted, of the user it was sent for. */
async function phantoms(connection: Connection, simulator: Simulator): Promise<string[]> {
  const problems: string[] = [];
  const [everSeen] = await connection.query('SELECT id, email FROM seen_views');
  const owners = new Map<string, Set<string>>();
  for (const row of everSeen as Row[]) {
    const key = `page-view-${String(row['id'])}`;
    if (!owners.has(key)) owners.set(key, new Set());
    owners.get(key)?.add(String(row['email']).toLowerCase());
  }
  for (const user of simulator.users.values()) {
    for (const id of user.events.keys()) {
      if (owners.get(id)?.has(String(user.email).toLowerCase()) !== true) {
        problems.push(`phantom: ${String(user.email)} has ${id}`);
      }
    }
  }
  return problems;
}

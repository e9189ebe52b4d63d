/** The page for people: counts, users and latest events, in HTML without scripts. */
import { ENDPOINTS } from './endpoints.ts';
import type { Project } from './calls.ts';
import type { Statistics } from './statistics.ts';

const ROWS_MAX = 30;

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const cell = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
  return `<td>${escapeHtml(text.slice(0, 500))}</td>`;
};

function table(heads: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const head = heads.map((text) => `<th>${escapeHtml(text)}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((value) => cell(value)).join('')}</tr>`).join('');
  return `<table><tr>${head}</tr>${body}</table>`;
}

const STYLE = `body{font:14px system-ui,sans-serif;margin:2em;color:#222}
table{border-collapse:collapse;margin-bottom:2em}
td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}
th{background:#f3f3f3}td{overflow-wrap:anywhere}`;

function time(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(11, 23);
}

/** All that it shows was sent by clients, so all of it is escaped. */
export function page(project: Project, statistics: Statistics): string {
  const stats = statistics.snapshot();
  const counts = project.store.counts();
  const latest = statistics.deliveries(Math.max(0, statistics.lastSeq - 500)).reverse();
  const events = latest.filter(({ id }) => id !== null).slice(0, ROWS_MAX);
  const emails = [...new Set(latest.map(({ email }) => email))].slice(0, ROWS_MAX);
  const eventRow = ({ at, email, id }: (typeof events)[number]): unknown[] => {
    const event = project.store.users.get(email ?? '')?.events.get(id ?? '');
    return [time(at), email ?? '', event?.eventName ?? '', id, event?.dataFields ?? ''];
  };
  const userRow = (email: string | null): unknown[] => {
    const user = project.store.users.get(email ?? '');
    return [email ?? '', user?.dataFields ?? '', user?.events.size ?? 0];
  };
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="refresh" content="2"><title>Iterable simulator</title><style>${STYLE}</style></head>
<body><h1>Iterable simulator</h1>
<p>${counts.users} users, ${counts.events} events, ${counts.repeatedEvents} repeated events.
As JSON: <a href="/simulator/state?limit=100">state</a>, <a href="/simulator/stats">stats</a>,
<a href="/simulator/deliveries?limit=100">deliveries</a>, <a href="/simulator/faults">faults</a>.</p>
<h2>Calls</h2>${table(
    ['endpoint', 'requests', 'most in a second', 'by status'],
    ENDPOINTS.map((name) => {
      const { requests, peakPerSecond, statuses } = stats.endpoints[name];
      return [name, requests, peakPerSecond, statuses];
    }),
  )}
<h2>Latest events</h2>${table(
    ['time (UTC)', 'user', 'event', 'id', 'data'],
    events.map((row) => eventRow(row)),
  )}
<h2>Latest users</h2>${table(
    ['user', 'profile', 'events'],
    emails.map((row) => userRow(row)),
  )}
</body></html>
`;
}

/** The endpoints of Iterable that the simulator has, and how many calls a second each takes. */

export const ENDPOINTS = [
  'users/update',
  'events/track',
  'users/bulkUpdate',
  'events/trackBulk',
  'users/getByEmail',
  'users/getFields',
  'events/get',
  'channels',
] as const;

export type Endpoint = (typeof ENDPOINTS)[number];

export function isEndpoint(name: string): name is Endpoint {
  return (ENDPOINTS as readonly string[]).includes(name);
}

/**
 * Calls per second and project, as Iterable documents them; null: unlimited.
 * https://api.iterable.com/api/docs
 */
export type RateLimits = Readonly<Record<Endpoint, number | null>>;

export const DOCUMENTED_LIMITS: RateLimits = {
  'users/update': 500,
  'events/track': 2000,
  'users/bulkUpdate': 5,
  'events/trackBulk': 10,
  'users/getByEmail': 100,
  'users/getFields': 3,
  'events/get': 100,
  channels: 100,
};

const FIXED_ROUTES: ReadonlyMap<string, Endpoint> = new Map([
  ['POST /api/users/update', 'users/update'],
  ['POST /api/events/track', 'events/track'],
  ['POST /api/users/bulkUpdate', 'users/bulkUpdate'],
  ['POST /api/events/trackBulk', 'events/trackBulk'],
  ['GET /api/users/getByEmail', 'users/getByEmail'],
  ['GET /api/users/getFields', 'users/getFields'],
  ['GET /api/channels', 'channels'],
]);

export interface Route {
  endpoint: Endpoint;
  /** The e-mail address in the path, still percent-encoded; null where the path has none. */
  emailInPath: string | null;
}

/** Which endpoint a request is for; null when Iterable has no such path. */
export function routeOf(method: string, path: string): Route | null {
  const fixed = FIXED_ROUTES.get(`${method} ${path}`);
  if (fixed !== undefined) return { endpoint: fixed, emailInPath: null };
  if (method !== 'GET') return null;
  const variable = /^\/api\/(users|events)\/([^/]+)$/.exec(path);
  if (variable === null) return null;
  const endpoint = variable[1] === 'users' ? 'users/getByEmail' : 'events/get';
  return { endpoint, emailInPath: variable[2] ?? '' };
}

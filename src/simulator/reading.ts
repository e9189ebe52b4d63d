/** The reading endpoints: what the project holds, in the shapes that Iterable answers with. */
import { answer, badParams, json, type Answer } from './answers.ts';
import type { Project } from './calls.ts';
import type { Route } from './endpoints.ts';
import type { SimulatedEvent, SimulatedUser } from './store.ts';

/** At most so many events are answered, as documented. */
const EVENTS_MAX = 200;
const EVENTS_DEFAULT = 30;

const CHANNELS = [
  { id: 1, name: 'Marketing Channel', channelType: 'Marketing', messageMedium: 'Email' },
  { id: 2, name: 'Transactional Channel', channelType: 'Transactional', messageMedium: 'Email' },
];

/** `yyyy-MM-dd HH:mm:ss +00:00`, as Iterable writes times. */
function iterableTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ')} +00:00`;
}

function profile(user: SimulatedUser): Record<string, unknown> {
  const dataFields: Record<string, unknown> = Object.assign(Object.create(null), user.dataFields);
  if (user.email !== null) dataFields['email'] = user.email;
  dataFields['signupDate'] ??= iterableTime(user.createdAtMs);
  dataFields['profileUpdatedAt'] = iterableTime(user.updatedAtMs ?? user.createdAtMs);
  dataFields['signupSource'] ??= 'API';
  return {
    ...(user.email === null ? {} : { email: user.email }),
    ...(user.userId === null ? {} : { userId: user.userId }),
    dataFields,
  };
}

function event(
  user: SimulatedUser,
  { id, eventName, createdAt, dataFields }: SimulatedEvent,
): object {
  return {
    id,
    email: user.email,
    userId: user.userId,
    eventName,
    eventType: 'customEvent',
    createdAt: iterableTime(createdAt * 1000),
    dataFields,
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Answers a reading call. A user that is not known is 200 with `{}`, as recorded from Iterable. */
export function read(project: Project, route: Route, query: URLSearchParams): Answer {
  if (route.endpoint === 'channels') return json({ channels: CHANNELS });
  if (route.endpoint === 'users/getFields') {
    return json({ fields: Object.fromEntries(project.fields.of({ category: 'user' })) });
  }
  const email = route.emailInPath === null ? query.get('email') : decoded(route.emailInPath);
  if (email === null || email === '') return badParams('email is required');
  const user = project.store.find({ email });
  if (route.endpoint === 'users/getByEmail') {
    return user === undefined ? json({}) : json({ user: profile(user) });
  }
  const limit = Number(query.get('limit') ?? EVENTS_DEFAULT);
  if (!Number.isInteger(limit) || limit < 1 || limit > EVENTS_MAX) {
    return badParams(`limit must be from 1 to ${EVENTS_MAX}`);
  }
  if (user === undefined) return answer(400, 'UnknownEmailError', 'Email does not exist');
  const latest = [...user.events.values()].sort((a, b) => b.createdAt - a.createdAt);
  return json({ events: latest.slice(0, limit).map((one) => event(user, one)) });
}

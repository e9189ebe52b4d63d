/** What the simulated project holds: users, each with a profile and events, bounded in number. */
import { isPlainObject, type DataFields } from './fields.ts';
import type { Identity, TrackedEvent, UserUpdate } from './requests.ts';

export interface SimulatedEvent {
  id: string;
  eventName: string;
  /** Epoch seconds. */
  createdAt: number;
  dataFields: DataFields;
  /** How often the same id was tracked again. */
  repeats: number;
}

export interface SimulatedUser {
  /** Lower-cased. */
  email: string | null;
  userId: string | null;
  dataFields: DataFields;
  /** By event id, in the order of their first arrival. */
  events: Map<string, SimulatedEvent>;
  /** When the user came into being, and the last users/update (null: none yet); epoch ms. */
  createdAtMs: number;
  updatedAtMs: number | null;
}

export interface StoreBounds {
  usersMax: number;
  eventsMax: number;
}

export interface StoreCounts {
  users: number;
  events: number;
  /** The same event id for the same user again. */
  repeatedEvents: number;
  /** The same event id for another user: the event went over to that one. */
  movedEvents: number;
  /** An event for a user that had no users/update before. */
  eventsWithoutUpdate: number;
  /** Forgotten because a bound was reached. */
  droppedUsers: number;
  droppedEvents: number;
}

/**
 * Sets an own field whatever its name: `__proto__` too is then a field like others. (Objects
 * without prototype would do the same at three times the memory.)
 */
function setField(fields: DataFields, name: string, value: unknown): void {
  if (name !== '__proto__') fields[name] = value;
  else {
    Object.defineProperty(fields, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
}

function copyOf(fields: DataFields): DataFields {
  const copy: DataFields = {};
  for (const name of Object.keys(fields)) setField(copy, name, fields[name]);
  return copy;
}

/**
 * Lays `incoming` over `current`: null removes a field (recorded from the real API), top-level
 * objects are merged one level deep when `mergeNestedObjects`, else replaced.
 */
export function mergeProfile(
  current: DataFields,
  incoming: DataFields,
  mergeNestedObjects: boolean,
): void {
  for (const name of Object.keys(incoming)) {
    const value = incoming[name];
    const before = Object.hasOwn(current, name) ? current[name] : undefined;
    if (value === null) delete current[name];
    else if (mergeNestedObjects && isPlainObject(value) && isPlainObject(before)) {
      const merged = copyOf(before);
      mergeProfile(merged, value, false);
      setField(current, name, merged);
    } else setField(current, name, value);
  }
}

export class Store {
  /** By lower-cased e-mail address, or `userId:` and the id. */
  readonly users = new Map<string, SimulatedUser>();
  readonly #owners = new Map<string, SimulatedUser>();
  readonly #bounds: StoreBounds;
  #generatedIds = 0;
  #counts = { repeated: 0, moved: 0, withoutUpdate: 0, droppedUsers: 0, droppedEvents: 0 };

  constructor(bounds: StoreBounds) {
    this.#bounds = bounds;
  }

  update({ identity, dataFields, mergeNestedObjects }: UserUpdate, atMs: number): void {
    const user = this.#userFor(identity, atMs);
    mergeProfile(user.dataFields, dataFields, mergeNestedObjects);
    user.updatedAtMs = atMs;
  }

  /** Adds the event, or replaces the one with its id; returns the id. */
  track(event: TrackedEvent, atMs: number): string {
    const user = this.#userFor(event.identity, atMs);
    if (user.updatedAtMs === null) this.#counts.withoutUpdate += 1;
    const id = event.id ?? this.#newId();
    const owner = this.#owners.get(id);
    const before = owner?.events.get(id);
    if (owner !== undefined && owner !== user) {
      owner.events.delete(id);
      this.#counts.moved += 1;
    } else if (owner === user) this.#counts.repeated += 1;
    user.events.set(id, {
      id,
      eventName: event.eventName,
      createdAt: event.createdAt ?? Math.floor(atMs / 1000),
      dataFields: event.dataFields,
      repeats: before === undefined ? 0 : before.repeats + 1,
    });
    this.#owners.set(id, user);
    if (this.#owners.size > this.#bounds.eventsMax) this.#dropOldestEvent();
    return id;
  }

  find(identity: { email: string } | { userId: string }): SimulatedUser | undefined {
    return this.users.get(
      'email' in identity ? identity.email.toLowerCase() : `userId:${identity.userId}`,
    );
  }

  counts(): StoreCounts {
    return {
      users: this.users.size,
      events: this.#owners.size,
      repeatedEvents: this.#counts.repeated,
      movedEvents: this.#counts.moved,
      eventsWithoutUpdate: this.#counts.withoutUpdate,
      droppedUsers: this.#counts.droppedUsers,
      droppedEvents: this.#counts.droppedEvents,
    };
  }

  clear(): void {
    this.users.clear();
    this.#owners.clear();
    this.#counts = { repeated: 0, moved: 0, withoutUpdate: 0, droppedUsers: 0, droppedEvents: 0 };
  }

  #newId(): string {
    let id: string;
    do {
      this.#generatedIds += 1;
      id = `generated-${this.#generatedIds}`;
    } while (this.#owners.has(id));
    return id;
  }

  #userFor(identity: Identity, atMs: number): SimulatedUser {
    const known = this.users.get(identity.key);
    if (known !== undefined) return known;
    const user: SimulatedUser = {
      email: identity.email === null ? null : identity.key,
      userId: identity.userId,
      dataFields: {},
      events: new Map(),
      createdAtMs: atMs,
      updatedAtMs: null,
    };
    this.users.set(identity.key, user);
    if (this.users.size > this.#bounds.usersMax) this.#dropOldestUser();
    return user;
  }

  #dropOldestUser(): void {
    for (const [key, user] of this.users) {
      for (const id of user.events.keys()) this.#owners.delete(id);
      this.users.delete(key);
      this.#counts.droppedUsers += 1;
      return;
    }
  }

  #dropOldestEvent(): void {
    for (const [id, owner] of this.#owners) {
      owner.events.delete(id);
      this.#owners.delete(id);
      this.#counts.droppedEvents += 1;
      return;
    }
  }
}

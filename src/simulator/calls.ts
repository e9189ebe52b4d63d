/**
 * The four writing calls: reading a body gives a call that names its users and can be carried out
 * later, because the wait in between (latency) is part of what is simulated.
 */
import { answer, badJson, json, SUCCESS, typesMismatched, type Answer } from './answers.ts';
import type { Endpoint } from './endpoints.ts';
import { FieldTypes, type DataFields, type FieldDraft, type FieldScope } from './fields.ts';
import {
  parseJson,
  readBulkTrack,
  readBulkUpdate,
  readEvent,
  readUpdate,
  type Identity,
  type Read,
  type TrackedEvent,
  type UserUpdate,
} from './requests.ts';
import { BulkResult } from './bulk.ts';
import { Store, type StoreBounds } from './store.ts';

export type WritingEndpoint = Extract<
  Endpoint,
  'users/update' | 'events/track' | 'users/bulkUpdate' | 'events/trackBulk'
>;

/** What a call changed: one entry for each user or event that was accepted. */
export interface Accepted {
  /** Lower-cased e-mail address; null for a user known by id. */
  email: string | null;
  /** Event id; null for a profile. */
  id: string | null;
  dataFields: DataFields;
  /** Epoch seconds; null for a profile, and for an event that did not say. */
  createdAt: number | null;
}

export interface Outcome {
  answer: Answer;
  accepted: readonly Accepted[];
}

export interface Call {
  /** The users it is about, by their key in the store; of a batch, each once. */
  userKeys: readonly string[];
  carryOut(atMs: number): Outcome;
}

/** Why a user is refused, whatever the call says (faults ask for it); null: it is not. */
export interface Refusal {
  status: number;
  code: string;
  msg: string;
}
export type RefusalOf = (email: string) => Refusal | null;

export interface ProjectOptions extends StoreBounds {
  disallowedEvents: readonly string[];
  fieldsMax: number;
}

type Checked<T> = { refused: Answer } | { item: T };

const refusedWith = (given: Answer): Outcome => ({ answer: given, accepted: [] });

export class Project {
  readonly store: Store;
  readonly fields = new FieldTypes();
  readonly #options: ProjectOptions;
  readonly #disallowed: ReadonlySet<string>;
  readonly #refusalOf: RefusalOf;

  constructor(options: ProjectOptions, refusalOf: RefusalOf) {
    this.#options = options;
    this.#disallowed = new Set(options.disallowedEvents);
    this.#refusalOf = refusalOf;
    this.store = new Store(options);
  }

  clear(): void {
    this.store.clear();
    this.fields.clear();
  }

  /** Reads a body; `nowMs` (epoch) tells what is a plausible `createdAt`. */
  read(endpoint: WritingEndpoint, text: string, nowMs: number): Read<Call> {
    if (text === '') return { refusal: badJson('The request has no body') };
    const parsed = parseJson(text);
    if ('refusal' in parsed) return parsed;
    const nowSeconds = nowMs / 1000;
    switch (endpoint) {
      case 'users/update':
        return this.#single(readUpdate(parsed.value), (update, at) => this.#update(update, at));
      case 'events/track':
        return this.#single(readEvent(parsed.value, nowSeconds), (event, at) =>
          this.#track(event, at),
        );
      case 'users/bulkUpdate':
        return this.#batch(readBulkUpdate(parsed.value), (updates, at) =>
          this.#bulkUpdate(updates, at),
        );
      case 'events/trackBulk':
        return this.#batch(readBulkTrack(parsed.value, nowSeconds), (events, at) =>
          this.#bulkTrack(events, at),
        );
    }
  }

  #single<T extends { identity: Identity }>(
    read: Read<T>,
    carryOut: (item: T, atMs: number) => Outcome,
  ): Read<Call> {
    if ('refusal' in read) return read;
    const item = read.value;
    return {
      value: { userKeys: [item.identity.key], carryOut: (at) => carryOut(item, at) },
    };
  }

  #batch<T extends { identity: Identity }>(
    read: Read<T[]>,
    carryOut: (items: readonly T[], atMs: number) => Outcome,
  ): Read<Call> {
    if ('refusal' in read) return read;
    const items = read.value;
    const userKeys = [...new Set(items.map(({ identity }) => identity.key))];
    return { value: { userKeys, carryOut: (at) => carryOut(items, at) } };
  }

  #update(update: UserUpdate, atMs: number): Outcome {
    const checked = this.#checkOne(update, { category: 'user' });
    if ('refused' in checked) return refusedWith(checked.refused);
    this.store.update(checked.item, atMs);
    return { answer: SUCCESS, accepted: [acceptedUpdate(update)] };
  }

  #track(event: TrackedEvent, atMs: number): Outcome {
    if (this.#disallowed.has(event.eventName)) {
      // The status says success: the message alone tells (seen in the code of other clients).
      return refusedWith(
        answer(200, 'Success', `Event ${event.eventName} is disallowed from tracking.`),
      );
    }
    const checked = this.#checkOne(event, { category: 'event', eventName: event.eventName });
    if ('refused' in checked) return refusedWith(checked.refused);
    const id = this.store.track(checked.item, atMs);
    return {
      answer: answer(200, 'Success', '', { id }),
      accepted: [acceptedEvent(event, id)],
    };
  }

  #bulkUpdate(updates: readonly UserUpdate[], atMs: number): Outcome {
    const draft = this.fields.draft();
    const result = new BulkResult(this.#refusalOf);
    const passed = updates.filter(({ identity }) => result.admits(identity));
    const checked = this.#checkAll(passed, draft, () => ({ category: 'user' }));
    if ('refused' in checked) return refusedWith(checked.refused);
    for (const update of checked.item) this.store.update(update, atMs);
    const accepted = checked.item.map(acceptedUpdate);
    return { answer: json(result.ofUsers(accepted.length, draft)), accepted };
  }

  #bulkTrack(events: readonly TrackedEvent[], atMs: number): Outcome {
    const draft = this.fields.draft();
    const result = new BulkResult(this.#refusalOf);
    const passed = events.filter(
      ({ identity, eventName }) =>
        result.allows(eventName, this.#disallowed) && result.admits(identity),
    );
    const checked = this.#checkAll(passed, draft, ({ eventName }) => ({
      category: 'event',
      eventName,
    }));
    if ('refused' in checked) return refusedWith(checked.refused);
    const accepted = checked.item.map((event) =>
      acceptedEvent(event, this.store.track(event, atMs)),
    );
    return { answer: json(result.ofEvents(accepted.length, draft)), accepted };
  }

  #checkOne<T extends UserUpdate | TrackedEvent>(item: T, scope: FieldScope): Checked<T> {
    const refused = this.#refused(item.identity);
    if (refused !== null) return { refused };
    const draft = this.fields.draft();
    const checked = this.#checkAll([item], draft, () => scope);
    if ('refused' in checked) return checked;
    const [first] = checked.item;
    return { item: first ?? item };
  }

  /** Type-checks all items as one; new field types are fixed only when all of them pass. */
  #checkAll<T extends { dataFields: DataFields; createNewFields: boolean }>(
    items: readonly T[],
    draft: FieldDraft,
    scopeOf: (item: T) => FieldScope,
  ): Checked<T[]> {
    const stored: T[] = [];
    let category: FieldScope['category'] = 'user';
    for (const item of items) {
      const scope = scopeOf(item);
      ({ category } = scope);
      const dataFields = draft.check(scope, item.dataFields, item.createNewFields);
      stored.push(dataFields === item.dataFields ? item : { ...item, dataFields });
    }
    if (draft.mismatches.length > 0)
      return { refused: typesMismatched(category, draft.mismatches) };
    if (draft.fieldsAfter > this.#options.fieldsMax) {
      const msg = `The project would have more than ${this.#options.fieldsMax} unique fields`;
      return { refused: answer(400, 'UniqueFieldsLimitExceeded', msg) };
    }
    draft.commit();
    return { item: stored };
  }

  #refused(identity: Identity): Answer | null {
    if (!identity.valid) {
      return identity.email === null
        ? answer(400, 'InvalidUserIdError', 'Invalid userId')
        : answer(400, 'InvalidEmailAddressError', `Invalid email: ${identity.email}`);
    }
    const refusal = identity.email === null ? null : this.#refusalOf(identity.key);
    return refusal === null ? null : answer(refusal.status, refusal.code, refusal.msg);
  }
}

function acceptedUpdate({ identity, dataFields }: UserUpdate): Accepted {
  return { email: emailOf(identity), id: null, dataFields, createdAt: null };
}

function acceptedEvent(event: TrackedEvent, id: string): Accepted {
  const { identity, dataFields, createdAt } = event;
  return { email: emailOf(identity), id, dataFields, createdAt };
}

function emailOf(identity: Identity): string | null {
  return identity.email === null ? null : identity.key;
}

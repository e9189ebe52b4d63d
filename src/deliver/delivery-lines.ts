import type { Failure, Outcome } from '../sinks/iterable/calls.ts';
import type { Logger } from '../observe/logger.ts';
import { type FailedDelivery, type UserDelivery, isSent } from './deliver-user.ts';
import type { LookOutcome, WorkItem } from './work.ts';

type Field = string | number;

/** The status and the milliseconds of a call, where there were any. */
function callFields(name: 'update' | 'track', call: Outcome | Failure | null): [string, Field][] {
  const fields: [string, Field][] = [];
  if (call === null) return fields;
  if (call.status !== null && call.status > 0) fields.push([`${name}_status`, call.status]);
  else if (call.kind === 'failed') fields.push([`${name}_status`, 'no answer']);
  if (call.ms !== undefined) fields.push([`${name}_ms`, Math.round(call.ms)]);
  return fields;
}

/** The message that an item stands for; nothing where it stands for none. */
function placeFields(item: WorkItem | undefined): [string, Field][] {
  if (item?.source == null) return [];
  const { topic, partition, offset } = item.source;
  return [
    ['topic', topic],
    ['partition', partition],
    ['offset', offset],
  ];
}

/**
 * One line at DEBUG for everything that becomes of a user: `user_id`, `page_view_id`, `outcome`, the
 * calls' statuses and milliseconds, and the newest message that caused it (`topic`, `partition`,
 * `offset`), so that one user's way is found by its id. No address, no payload.
 */
export class DeliveryLines {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Both calls have ended, for good (`newest`: none where no message or letter caused it). */
  delivered(delivery: UserDelivery, newest?: WorkItem): void {
    const { user, update, track } = delivery;
    this.#write(
      [
        ['user_id', user.userId],
        ['page_view_id', user.pageViewId],
        ['outcome', isSent(delivery) ? 'sent' : 'refused'],
        ...callFields('update', update),
        ...callFields('track', track),
        ...placeFields(newest),
      ],
      'delivery',
    );
  }

  /** One of the calls failed; both are tried again. */
  failed({ user, update, failure }: FailedDelivery, newest: WorkItem): void {
    const calls =
      update === null
        ? callFields('update', failure)
        : [...callFields('update', update), ...callFields('track', failure)];
    this.#write(
      [
        ['user_id', user.userId],
        ['page_view_id', user.pageViewId],
        ['outcome', 'tried again'],
        ...calls,
        ...placeFields(newest),
      ],
      'delivery',
    );
  }

  /** The rule was asked, and there was nothing to send; `items` are the messages of it. */
  passedOver(
    userId: string,
    pageViewId: string | null,
    outcome: LookOutcome,
    items: readonly WorkItem[],
  ): void {
    this.#write(
      [
        ['user_id', userId],
        ...(pageViewId === null ? [] : [['page_view_id', pageViewId] satisfies [string, Field]]),
        ['outcome', outcome],
        ['messages', items.length],
        ...placeFields(items.at(-1)),
      ],
      'nothing to send',
    );
  }

  #write(fields: readonly [string, Field][], message: string): void {
    if (this.#logger.isLevelEnabled('debug')) {
      this.#logger.debug(Object.fromEntries(fields), message);
    }
  }
}

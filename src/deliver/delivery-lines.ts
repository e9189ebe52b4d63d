import type { Logger } from '../observe/logger.ts';
import { isSent } from './delivery.ts';
import type { Call, Delivery, FailedDelivery, Failure, Outcome } from './sink.ts';
import type { Trigger, TriggerOutcome } from './trigger.ts';

type Field = string | number;

/** The status and the milliseconds of a call, where there were any: of `users/update`, `update_ms`. */
function callFields(name: string, call: Outcome | Failure): [string, Field][] {
  const fields: [string, Field][] = [];
  const verb = name.slice(name.indexOf('/') + 1);
  if (call.status !== null && call.status > 0) fields.push([`${verb}_status`, call.status]);
  else if (call.kind === 'failed') fields.push([`${verb}_status`, 'no answer']);
  if (call.ms !== undefined) fields.push([`${verb}_ms`, Math.round(call.ms)]);
  return fields;
}

function allFields(calls: readonly Call[]): [string, Field][] {
  return calls.flatMap(({ name, outcome }) => callFields(name, outcome));
}

/** The message that a trigger is made of; nothing where there is none. */
function positionFields(trigger: Trigger | undefined): [string, Field][] {
  if (trigger?.position == null) return [];
  const { topic, partition, offset } = trigger.position;
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

  /** All calls have ended, for good (`newest`: none where no message or letter caused it). */
  delivered(delivery: Delivery, newest?: Trigger): void {
    const { user, calls } = delivery;
    this.#write(
      [
        ['user_id', user.userId],
        ['page_view_id', user.pageViewId],
        ['outcome', isSent(delivery) ? 'sent' : 'refused'],
        ...allFields(calls),
        ...positionFields(newest),
      ],
      'delivery',
    );
  }

  /** One of the calls failed; all are tried again. */
  failed({ user, calls, failedCall, failure }: FailedDelivery, newest: Trigger): void {
    this.#write(
      [
        ['user_id', user.userId],
        ['page_view_id', user.pageViewId],
        ['outcome', 'tried again'],
        ...allFields(calls),
        ...callFields(failedCall, failure),
        ...positionFields(newest),
      ],
      'delivery',
    );
  }

  /** The rule was asked, and there was nothing to send; `triggers` asked for it. */
  passedOver(
    userId: string,
    pageViewId: string | null,
    outcome: TriggerOutcome,
    triggers: readonly Trigger[],
  ): void {
    this.#write(
      [
        ['user_id', userId],
        ...(pageViewId === null ? [] : [['page_view_id', pageViewId] satisfies [string, Field]]),
        ['outcome', outcome],
        ['messages', triggers.length],
        ...positionFields(triggers.at(-1)),
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

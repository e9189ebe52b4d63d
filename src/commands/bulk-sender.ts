import type { BulkSink, Delivery } from '../deliver/sink.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import type { Batch } from './batch.ts';

/** Whether the same would be sent. */
function isSame(one: EligibleUser, other: EligibleUser | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Sends pages of users in bulk. */
export class BulkSender {
  readonly #batch: Batch;
  readonly #sink: Pick<BulkSink, 'deliver'>;

  constructor(batch: Batch) {
    this.#batch = batch;
    this.#sink = batch.sink.bulk;
  }

  /**
   * Sends these users and records each. Looks at them once more afterwards, since a live stream
   * may have sent something newer meanwhile. Returns those who are left to be sent singly, beside
   * the rest, with what has come of them so far: users who have changed, for whom a bulk call of a
   * few would take the place of one of a thousand, and (null) users whose calls fail also when they
   * are alone in them. Nothing is recorded of these. `onUpdated` is told when the first kind of call
   * is through.
   * @throws StoppedError when the work ends before the first call.
   */
  async send(
    page: readonly EligibleUser[],
    onUpdated: () => void = () => undefined,
  ): Promise<ReadonlyMap<string, Delivery | null>> {
    const isWanted = (): boolean => !this.#batch.isEnding;
    const { deliveries, failing } = await this.#sink.deliver(page, isWanted, onUpdated);
    const now = await this.#batch.rule.among(deliveries.map(({ user }) => user.userId));
    const before = new Map(page.map((user) => [user.userId, user]));
    const changed = new Set(
      now.filter((user) => !isSame(user, before.get(user.userId))).map(({ userId }) => userId),
    );
    const isLeft = ({ user }: Delivery): boolean => changed.has(user.userId);
    await this.#batch.record(deliveries.filter((delivery) => !isLeft(delivery)));
    return new Map<string, Delivery | null>([
      ...deliveries.filter(isLeft).map((delivery) => [delivery.user.userId, delivery] as const),
      ...[...failing].map((userId) => [userId, null] as const),
    ]);
  }
}

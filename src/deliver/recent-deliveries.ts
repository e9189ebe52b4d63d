import { isSent } from './delivery.ts';
import type { Delivery } from './sink.ts';

/** One delivery as the status page shows it: no address, no payload. */
export interface RecentDelivery {
  time: string;
  userId: string;
  pageViewId: string;
  sent: boolean;
  commitToDeliveryMs: number;
}

/** The last `countMax` deliveries, for /status. */
export class RecentDeliveries {
  readonly #countMax: number;
  readonly #deliveries: RecentDelivery[] = [];

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  add(delivery: Delivery, commitToDeliveryMs: number): void {
    this.#deliveries.push({
      time: new Date().toISOString(),
      userId: delivery.user.userId,
      pageViewId: delivery.user.pageViewId,
      sent: isSent(delivery),
      commitToDeliveryMs,
    });
    if (this.#deliveries.length > this.#countMax) this.#deliveries.shift();
  }

  /** Newest first. */
  list(): RecentDelivery[] {
    return [...this.#deliveries].reverse();
  }
}

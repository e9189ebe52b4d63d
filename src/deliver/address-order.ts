import type { EligibleUser } from '../rule/eligible-user.ts';

/** A look takes less; what was delivered before it began is part of its answer. */
const KEPT_MS = 120_000;

interface Delivery {
  userId: string;
  /** null while it is under way. */
  endedAtMs: number | null;
}

/**
 * Deliveries in order by e-mail address: Iterable knows a profile by its address, and an address
 * may pass from one user to another. Two deliveries to one address never overlap, and an answer of
 * the rule that is older than another user's delivery to the address is not sent: it may be of the
 * time when the address was still this user's.
 */
export class AddressOrder {
  /** In order of ending, those under way somewhere between. */
  readonly #deliveries = new Map<string, Delivery>();

  /**
   * Whether a delivery may begin with an answer of the rule that was asked for at `lookedAtMs`; it
   * must then be told to `end`. Else the user has to be looked at again.
   */
  begin(user: EligibleUser, lookedAtMs: number): boolean {
    const address = addressOf(user);
    if (address === null) return true;
    const last = this.#deliveries.get(address);
    if (last !== undefined) {
      if (last.endedAtMs === null) return false;
      if (last.userId !== user.userId && last.endedAtMs >= lookedAtMs) return false;
    }
    this.#deliveries.delete(address);
    this.#deliveries.set(address, { userId: user.userId, endedAtMs: null });
    return true;
  }

  end(user: EligibleUser, nowMs: number): void {
    const address = addressOf(user);
    if (address === null) return;
    this.#deliveries.delete(address);
    this.#deliveries.set(address, { userId: user.userId, endedAtMs: nowMs });
    for (const [old, { endedAtMs }] of this.#deliveries) {
      if (endedAtMs === null) continue;
      if (nowMs - endedAtMs < KEPT_MS) break;
      this.#deliveries.delete(old);
    }
  }
}

/** By what Iterable knows the profile; null where there is none. */
export function addressOf({ email }: EligibleUser): string | null {
  return email === null ? null : email.trim().toLowerCase();
}

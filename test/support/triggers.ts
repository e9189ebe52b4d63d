import { ASKED, type Trigger } from '../../src/deliver/trigger.ts';

/** A trigger of now that nobody waits for, but for what is said about it. */
export function triggerFor(userId: string, about: Partial<Trigger> = {}): Trigger {
  return {
    userId,
    cause: ASKED,
    position: null,
    committedAtMs: Date.now(),
    seenAtMs: performance.now(),
    finish: () => undefined,
    ...about,
  };
}

import type { Clock } from '../model/clock.ts';
import type { DeadLetterStore } from '../topics/port.ts';

/** An add that takes longer is one that the store does not take. */
const KEEPING_MS_MAX = 5_000;

type Adding = Pick<DeadLetterStore, 'add'>;

/** The same store; `onTrouble` is told why it takes no letters, and null when it has taken one. */
export function watchedLetters(
  store: Adding,
  onTrouble: (reason: string | null) => void,
  clock: Clock,
): Adding {
  return {
    async add(letters) {
      const late = clock.timer(KEEPING_MS_MAX, () =>
        onTrouble(`a letter is not kept after ${KEEPING_MS_MAX / 1000} s`),
      );
      try {
        await store.add(letters);
        onTrouble(null);
      } catch (error) {
        onTrouble(`letters cannot be kept: ${(error as Error).message}`);
        throw error;
      } finally {
        late.cancel();
      }
    },
  };
}

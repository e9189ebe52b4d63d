import { openTopics } from '../topics/open.ts';
import type { DeadLetterStore, Topics } from '../topics/port.ts';
import type { CommandContext } from './context.ts';

export interface LazyDeadLetters extends Pick<DeadLetterStore, 'add'>, AsyncDisposable {}

/**
 * Opens the topics when the first letter comes: a run without refusals needs no broker. A broker
 * that was away is asked anew by the next letter.
 */
export function lazyDeadLetters({ settings, logger, outages }: CommandContext): LazyDeadLetters {
  let opening: Promise<Topics> | null = null;
  const open = async (): Promise<Topics> => {
    const topics = await openTopics(settings.topics, logger, outages);
    try {
      await topics.ensureTopics();
      return topics;
    } catch (error) {
      await topics[Symbol.asyncDispose]();
      throw error;
    }
  };
  return {
    async add(letters) {
      opening ??= open().catch((error: unknown) => {
        opening = null;
        throw error;
      });
      await (await opening).deadLetters.add(letters);
    },
    async [Symbol.asyncDispose]() {
      const topics = await opening?.catch(() => null);
      await topics?.[Symbol.asyncDispose]();
    },
  };
}

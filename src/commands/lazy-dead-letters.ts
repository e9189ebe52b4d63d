import { openTopics } from '../topics/open.ts';
import type { DeadLetterStore, Topics } from '../topics/port.ts';
import type { CommandContext } from './context.ts';

export interface LazyDeadLetters extends AsyncDisposable {
  /** Opens the topics when first asked: a run without refusals needs no broker. */
  open: () => Promise<DeadLetterStore>;
}

export function lazyDeadLetters({ settings, logger }: CommandContext): LazyDeadLetters {
  let opening: Promise<Topics> | null = null;
  return {
    open: async () => {
      opening ??= openTopics(settings.topics, logger).then(async (topics) => {
        await topics.ensureTopics();
        return topics;
      });
      return (await opening).deadLetters;
    },
    async [Symbol.asyncDispose]() {
      const topics = await opening?.catch(() => null);
      await topics?.[Symbol.asyncDispose]();
    },
  };
}

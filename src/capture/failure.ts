import { UnavailableError } from '../errors.ts';
import type { Publisher } from '../topics/port.ts';

const AGAIN = 'When that is done, start it again';

/** The saved position cannot be read now; the topics were reached once, so that it is waited for. */
export class TopicsAwayError extends Error {
  constructor(cause: unknown) {
    const { message } = cause instanceof Error ? cause : new Error(String(cause));
    super(`the saved place cannot be read from the topics (${message})`, { cause });
  }
}

/**
 * The same publisher, which remembers what it threw for good: the database is not to blame for that.
 * What is thrown once `signal` has aborted is its reason, and not the publisher's. A position that can
 * not be read rejects with TopicsAwayError.
 */
export function noteFailures(publisher: Publisher): {
  publisher: Publisher;
  failed: WeakSet<object>;
} {
  const failed = new WeakSet<object>();
  const note = (error: unknown, signal?: AbortSignal): never => {
    const isOwn = signal?.aborted !== true;
    if (isOwn && typeof error === 'object' && error !== null) failed.add(error);
    throw error;
  };
  const noting: Publisher = {
    batch: () => publisher.batch(),
    publish: (messages, checkpoint, signal) =>
      publisher
        .publish(messages, checkpoint, signal)
        .catch((error: unknown) => note(error, signal)),
    loadCheckpoint: (source) =>
      publisher.loadCheckpoint(source).catch((error: unknown) => {
        throw new TopicsAwayError(error);
      }),
    [Symbol.asyncDispose]: () => publisher[Symbol.asyncDispose](),
  };
  return { publisher: noting, failed };
}

/** A loss that ends the stream. */
export const refusedLoss = (sentence: string): UnavailableError =>
  new UnavailableError(
    `capture cannot go on: ${sentence}. ${AGAIN}: it begins with a look at all eligible users`,
  );

/** An error that ends a stream which ran: whoever mends it has to know that nobody tries again. */
export function endingStream(error: UnavailableError): UnavailableError {
  if (error.message.includes(AGAIN)) return error;
  const message = error.message.replace(/^capture cannot start/, 'capture cannot go on');
  return new UnavailableError(`${message}. ${AGAIN}: it goes on from where it was`, {
    cause: error,
  });
}

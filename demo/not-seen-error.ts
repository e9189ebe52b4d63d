/** Something that the demo promises did not come true: exit code 1. One sentence. */
export class NotSeenError extends Error {
  override readonly name = 'NotSeenError';
}

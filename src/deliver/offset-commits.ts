import type { Clock, Timer } from '../model/clock.ts';
import type { GroupMember } from '../topics/port.ts';
import type { TopicProgress } from './topic-progress.ts';

const COMMIT_EVERY_MS = 100;

export interface OffsetCommitsDeps {
  /** null before the group was joined. */
  member: () => GroupMember | null;
  progress: () => TopicProgress;
  /** Whether something has to be done first, which a commit would hide from a later start. */
  isHeld: () => boolean;
  /** Told why offsets can't be saved, and with null when they are again. */
  onTrouble: (reason: string | null) => void;
  clock: Clock;
}

/** Saves how far the group's partitions are finished, ten times a second. */
export class OffsetCommits {
  readonly #deps: OffsetCommitsDeps;
  #timer: Timer | null = null;
  #committing: Promise<void> = Promise.resolve();
  #isCommitting = false;
  #failed = 0;

  constructor(deps: OffsetCommitsDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = this.#deps.clock.timer(COMMIT_EVERY_MS, () => {
      this.start();
      if (!this.#isCommitting) void this.#commit();
    });
  }

  /** The last commit; resolves when it has ended, saved or not. */
  stop(): Promise<void> {
    this.#timer?.cancel();
    return this.#commit();
  }

  /** One commit at a time; what a failed one held is held by the next. */
  #commit(): Promise<void> {
    this.#isCommitting = true;
    this.#committing = this.#committing
      .then(() => this.#commitMoved())
      .then(() => {
        this.#isCommitting = false;
      });
    return this.#committing;
  }

  /** Never rejects. */
  async #commitMoved(): Promise<void> {
    const { onTrouble, isHeld } = this.#deps;
    const member = this.#deps.member();
    await member?.settled;
    if (isHeld()) return;
    const progress = this.#deps.progress();
    const moved = progress.takeMoved();
    if (member === null || moved.length === 0) return;
    try {
      await member.commit(moved);
      if (this.#failed > 0) onTrouble(null);
      this.#failed = 0;
    } catch (error) {
      progress.giveBack(moved);
      this.#failed += 1;
      const { message } = error as Error;
      onTrouble(`the offsets cannot be saved: ${message}`);
    }
  }
}

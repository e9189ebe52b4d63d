import type { TopicPartition } from '../port.ts';

/** What a client asks of the broker. */
export type RequestKind =
  | 'publish'
  | 'checkpoint'
  | 'join'
  | 'heartbeat'
  | 'leave'
  | 'positions'
  | 'fetch'
  | 'commit'
  | 'read'
  | 'question'
  | 'dead letters';

export interface MemoryRequest {
  /** The name of the connection it comes from. */
  client: string;
  kind: RequestKind;
  /** Of a publish: each partition has a request of its own. */
  partition?: TopicPartition;
}

/** What becomes of one request on its way to the broker and back. */
export interface Passage {
  /** Until the broker has it, in ms. */
  thereMs: number;
  /** Until its answer is with the client, in ms. */
  backMs: number;
  /**
   * `refused`: the broker answers that it did nothing; `lost`: it never gets the request;
   * `unanswered`: it carries it out, and the client never learns of that.
   */
  outcome: 'answered' | 'refused' | 'lost' | 'unanswered';
}

/**
 * What goes wrong between a client and the broker. What befalls the broker itself, or a client, is
 * told to them: `withoutLeader`, `dropOld`, `makeAnew`, `rebalance`, `endSessions` of MemoryBroker,
 * and `kill` of MemoryTopics.
 */
export interface MemoryFaults {
  /** Asked once for each request, when it is sent. Whoever kills the client in it: nothing is sent. */
  passage(request: MemoryRequest): Passage;
  /** How many messages before the one asked for a fetch brings again. */
  repeats(at: TopicPartition): number;
}

/** How often what happens, each from 0 (never) to 1 (always), and for how long. */
export interface FaultRates {
  /** Every way takes a random time up to this. */
  latencyMsMax: number;
  /** A way that takes up to `lateMsMax` instead. */
  late: number;
  lateMsMax: number;
  refused: number;
  lost: number;
  unanswered: number;
  /** A fetch that brings some messages again. */
  repeated: number;
}

const NO_FAULTS: FaultRates = {
  latencyMsMax: 1,
  late: 0,
  lateMsMax: 0,
  refused: 0,
  lost: 0,
  unanswered: 0,
  repeated: 0,
};
const REPEATED_MESSAGES_MAX = 5;

/** Faults by chance; without rates, none. `random` is from 0 up to 1. */
export function randomFaults(
  random: () => number,
  rates: Partial<FaultRates> = {},
  isAffected: (request: MemoryRequest) => boolean = () => true,
): MemoryFaults {
  const { latencyMsMax, late, lateMsMax, ...how } = { ...NO_FAULTS, ...rates };
  const wayMs = (mayBeLate: boolean): number =>
    random() * (mayBeLate && random() < late ? lateMsMax : latencyMsMax);
  const outcome = (): Passage['outcome'] => {
    let left = random();
    for (const kind of ['refused', 'lost', 'unanswered'] as const) {
      left -= how[kind];
      if (left < 0) return kind;
    }
    return 'answered';
  };
  return {
    passage: (request) => {
      const isHit = isAffected(request);
      return {
        thereMs: wayMs(isHit),
        backMs: wayMs(isHit),
        outcome: isHit ? outcome() : 'answered',
      };
    },
    repeats: () => (random() < how.repeated ? Math.ceil(random() * REPEATED_MESSAGES_MAX) : 0),
  };
}

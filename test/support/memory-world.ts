import type { MemoryFaults } from '../../src/topics/memory/faults.ts';
import { randomFaults } from '../../src/topics/memory/faults.ts';
import { MemoryBroker } from '../../src/topics/memory/broker.ts';
import { MemoryTopics } from '../../src/topics/memory/topics.ts';
import { VirtualClock } from './virtual-clock.ts';
import { randomFrom } from './workload.ts';

/** A broker in memory on a clock of its own, and what happened there. */
export class MemoryWorld {
  readonly clock = new VirtualClock();
  readonly random: () => number;
  readonly story: string[] = [];
  readonly broker: MemoryBroker;

  constructor(seed: number) {
    this.random = randomFrom(seed);
    const { clock, random } = this;
    this.broker = new MemoryBroker({ clock, random, tell: (event) => this.tell(event) });
  }

  tell(event: string): void {
    this.story.push(`${this.clock.now().toFixed(3)} ${event}`);
  }

  /** A process's connection. The first one makes the topics. */
  async connect(client: string): Promise<MemoryTopics> {
    const topics = new MemoryTopics(this.broker, { topic: 'views', partitions: 6, client });
    await this.clock.settled(topics.ensureTopics());
    return topics;
  }

  /** Time passes. */
  async pass(ms: number): Promise<void> {
    await this.clock.run(this.clock.now() + ms);
  }

  /** The first `outcomes.length` requests of this kind end so, the others are answered. */
  meet(kind: string, ...outcomes: ReturnType<MemoryFaults['passage']>['outcome'][]): void {
    const usual = randomFaults(this.random);
    this.broker.faults = {
      ...usual,
      passage: (request) => {
        const outcome = request.kind === kind ? outcomes.shift() : undefined;
        return { ...usual.passage(request), outcome: outcome ?? 'answered' };
      },
    };
  }
}

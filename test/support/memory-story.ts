import type { MemoryBroker } from '../../src/topics/memory/broker.ts';
import { randomFaults } from '../../src/topics/memory/faults.ts';
import { MemoryTopics } from '../../src/topics/memory/topics.ts';
import { keyOf } from '../../src/topics/key-of.ts';
import type {
  Assignment,
  GroupMember,
  MemberHandlers,
  ReceivedMessage,
  TopicOffset,
} from '../../src/topics/port.ts';
import { MemoryWorld } from './memory-world.ts';
import { message } from './topics.ts';

const FAULTS = {
  latencyMsMax: 5,
  late: 0.05,
  lateMsMax: 6_000,
  refused: 0.04,
  lost: 0.04,
  unanswered: 0.04,
  repeated: 0.2,
};
const KEYS = 20;
const ROWS = 5;
const MEMBERS = 3;
const STEP_MS_MAX = 3_000;
const FAULTS_MS = 60_000;
/** Longer than a session, a rebalance and all retries together. */
const CALM_MS = 90_000;
const COMMIT_EVERY_MS = 500;
const RESYNC_MS = 700;
const MARK = 'mark';

/** What the group has learnt of everything that was published. */
export interface Outcome {
  story: readonly string[];
  /** How many were acknowledged: 0, 1, 2 … */
  acknowledged: number;
  /** Acknowledged, and neither handed to a member nor made good by a later resync. */
  holes: number[];
  /** In a partition before a lower number of the same key that was not there yet. */
  disordered: number[];
  lag: number;
}

/** A member that does with what it is told what delivery does, without calls. */
class Worker implements MemberHandlers {
  member: GroupMember | null = null;
  readonly #story: Story;
  readonly #topics: MemoryTopics;
  readonly #done = new Map<string, TopicOffset>();
  #owed: TopicOffset[] = [];
  #assignments = 0;

  constructor(story: Story, topics: MemoryTopics) {
    this.#story = story;
    this.#topics = topics;
  }

  async work(): Promise<void> {
    const { pageViews, userChanges } = this.#topics.names;
    this.member = await this.#topics.join('g', [pageViews, userChanges], this, MARK);
    for (;;) {
      await this.#story.sleep(this.#topics, COMMIT_EVERY_MS);
      await this.member.settled;
      if (this.#owed.length > 0) await this.#resync();
      else await this.member.commit([...this.#done.values()]).catch(() => undefined);
    }
  }

  onAssigned({ share }: Assignment): void {
    this.#assignments += 1;
    this.#done.clear();
    this.#owed = [];
    this.#story.world.tell(`assigned ${share.toFixed(2)}`);
  }

  onRebalancing(): void {}

  onMessages(messages: readonly ReceivedMessage[]): Promise<void> {
    for (const { value } of messages) this.#story.handed.add(Number(value));
    const last = messages.at(-1)!;
    this.#done.set(keyOf(last), { ...last, offset: last.offset + 1 });
    return this.#story.sleep(this.#topics, this.#story.world.random() * 100);
  }

  onLost(begins: readonly TopicOffset[]): void {
    for (const begin of begins) this.#done.set(keyOf(begin), begin);
    this.#owe(begins);
  }

  onOtherMark(places: readonly TopicOffset[]): void {
    this.#owe(places);
  }

  #owe(places: readonly TopicOffset[]): void {
    this.#story.world.tell(`owes ${places.map(keyOf).join(' ')}`);
    this.#owed.push(...places);
  }

  /** Everyone is looked at: what was published before needs no message any more. */
  async #resync(): Promise<void> {
    const assignments = this.#assignments;
    const owed = [...this.#owed];
    const { begun } = this.#story;
    await this.#story.sleep(this.#topics, RESYNC_MS);
    if (assignments !== this.#assignments) return;
    this.#story.resynced(begun, owed);
    // What was lost meanwhile is owed another look, and a commit would hide it from the next member.
    if (this.#owed.length > owed.length) return;
    // Those that are further by now are committed as far as they are.
    const places = owed.map((at) => this.#done.get(keyOf(at)) ?? at);
    await this.member?.commit(places).then(
      () => (this.#owed = this.#owed.filter((at) => !owed.includes(at))),
      () => undefined,
    );
  }
}

/** Writers and members come and go, and everything goes wrong for a while, as a seed has it. */
export class Story {
  readonly world: MemoryWorld;
  readonly handed = new Set<number>();
  /** How many there are in the database, so to say: a resync finds them, published or not. */
  begun = 0;
  acknowledged = 0;
  readonly #losesMessages: boolean;
  readonly #good = new Map<string, number>();
  #workers: MemoryTopics[] = [];
  #writer: MemoryTopics | null = null;
  #clients = 0;

  constructor(seed: number, losesMessages: boolean) {
    this.world = new MemoryWorld(seed);
    this.#losesMessages = losesMessages;
  }

  sleep(topics: MemoryTopics, ms: number): Promise<void> {
    // A dead process's waits don't end either.
    return this.world.clock
      .sleep(ms)
      .then(() => (topics.isKilled ? new Promise<never>(() => undefined) : undefined));
  }

  /** What was there to be published by then was looked at, for these partitions. */
  resynced(begun: number, places: readonly TopicOffset[]): void {
    for (const at of places) this.#good.set(keyOf(at), begun);
  }

  async run(): Promise<Outcome> {
    const { world } = this;
    const { broker, clock, random } = world;
    const observer = await world.connect('observer');
    const { pageViews } = observer.names;
    this.#watchAppends(broker);
    broker.faults = randomFaults(random, FAULTS, ({ client }) => client !== 'observer');
    for (let i = 0; i < MEMBERS; i++) this.#startWorker();
    this.#startWriter();
    while (clock.now() < FAULTS_MS) {
      await world.pass(random() * STEP_MS_MAX);
      this.#befall();
    }
    world.tell('calm');
    broker.faults = randomFaults(random);
    await world.pass(CALM_MS);
    this.#writer?.kill();
    await world.pass(COMMIT_EVERY_MS * 10);
    const positions = broker.group('g').positions([pageViews]);
    const lag = positions.reduce((sum, { saved, high }) => sum + high - saved, 0);
    const { story } = world;
    const { acknowledged } = this;
    return { story, acknowledged, holes: this.#holes(), disordered: this.#disordered, lag };
  }

  readonly #partitionOf = new Map<number, string>();
  readonly #newest = new Map<string, number>();
  readonly #disordered: number[] = [];

  /** Sees each message as it is written, whatever becomes of it later. */
  #watchAppends(broker: MemoryBroker): void {
    const append = broker.append.bind(broker);
    broker.append = (queue, batch) => {
      const isWritten = append(queue, batch);
      if (!isWritten) return false;
      for (const { key, value } of batch) {
        const number = Number(value?.toString());
        const partition = keyOf(queue);
        const newest = this.#newest.get(String(key)) ?? -1;
        if (!this.#partitionOf.has(number) && number < newest) this.#disordered.push(number);
        this.#newest.set(String(key), Math.max(newest, number));
        this.#partitionOf.set(number, partition);
      }
      return true;
    };
  }

  #holes(): number[] {
    return Array.from({ length: this.acknowledged }, (_, number) => number).filter((number) => {
      if (this.handed.has(number)) return false;
      const partition = this.#partitionOf.get(number);
      return partition === undefined || number >= (this.#good.get(partition) ?? 0);
    });
  }

  #process(): MemoryTopics {
    this.#clients += 1;
    const client = `p${this.#clients}`;
    return new MemoryTopics(this.world.broker, { topic: 'views', partitions: 6, client });
  }

  #startWorker(): void {
    const topics = this.#process();
    this.#workers.push(topics);
    const worker = new Worker(this, topics);
    worker.work().catch(() => {
      // It could not reach the broker when it started: a supervisor starts another.
      this.#workers = this.#workers.filter((one) => one !== topics);
      if (!topics.isKilled) this.#startWorker();
    });
  }

  #startWriter(): void {
    const topics = this.#process();
    this.#writer = topics;
    this.#write(topics).catch(() => {
      if (!topics.isKilled) this.#startWriter();
    });
  }

  async #write(topics: MemoryTopics): Promise<void> {
    const { pageViews } = topics.names;
    const publisher = await topics.publisher();
    let from = Number((await publisher.loadCheckpoint('s')) ?? 0);
    for (;;) {
      const at = from;
      const nowMs = this.world.clock.epochMs();
      const rows = Array.from({ length: ROWS }, (_, i) =>
        message(pageViews, (at + i) % KEYS, `${at + i}`, nowMs),
      );
      this.begun = Math.max(this.begun, at + ROWS);
      await publisher.publish(rows, { source: 's', value: `${at + ROWS}` });
      from += ROWS;
      this.acknowledged = Math.max(this.acknowledged, from);
      await this.sleep(topics, this.world.random() * 400);
    }
  }

  /** A group that has saved nothing yet cannot tell that a topic was another one before. */
  #hasBegun(): boolean {
    const positions = this.world.broker.group('g').positions(['views.user_changes']);
    return positions.every(({ saved }) => saved >= 0);
  }

  /** Something happens to a process, the group or the broker. */
  #befall(): void {
    const { broker, clock, random } = this.world;
    const chosen = Math.floor(random() * (this.#losesMessages ? 7 : 5));
    switch (chosen) {
      case 0: {
        this.world.tell('a member is killed');
        this.#workers.splice(Math.floor(random() * this.#workers.length), 1)[0]?.kill();
        this.#startWorker();
        break;
      }
      case 1:
        this.world.tell('the writer is killed');
        this.#writer?.kill();
        this.#startWriter();
        break;
      case 2:
        broker.group('g').rebalance();
        break;
      case 3:
        broker.group('g').endSessions(`p${Math.ceil(random() * this.#clients)}`);
        break;
      case 4: {
        const partition = Math.floor(random() * 6);
        broker.withoutLeader({ topic: 'views', partition }, random() * 8_000);
        break;
      }
      case 5:
        broker.dropOld(clock.epochMs() - random() * 4_000);
        break;
      default:
        if (random() < 0.3 && this.#hasBegun()) broker.makeAnew('views');
    }
  }
}

/**
 * Loaded before the program (`node --import`): kills it, as `kill -9` does, when it comes to a named
 * point for the nth time. CRASH_AT is `point:nth`. The points lie on the public methods between
 * reading a row and saving its checkpoint or offset, so the program itself knows nothing of them.
 *
 * PLANT names a fault that the checker has to find (see test/fault/planted.test.ts).
 */
import { StatementSync } from 'node:sqlite';
import { RowMessages } from '../../src/capture/messages.ts';
import { Intake } from '../../src/deliver/intake.ts';
import { SentMemory } from '../../src/deliver/sent-memory.ts';
import { TopicProgress, type Tracked } from '../../src/deliver/topic-progress.ts';
import { IterableHttp } from '../../src/sinks/iterable/http.ts';
import { ChangeBuffer } from '../../src/source/mysql/transactions/change-buffer.ts';
import { Rule } from '../../src/rule/rule.ts';
import { EmbeddedDeadLetters } from '../../src/topics/embedded/dead-letters.ts';
import { EmbeddedMember } from '../../src/topics/embedded/member.ts';
import { EmbeddedPublisher } from '../../src/topics/embedded/publisher.ts';
import { KafkaDeadLetters } from '../../src/topics/kafka/dead-letters.ts';
import { KafkaMember } from '../../src/topics/kafka/member.ts';
import { KafkaPublisher } from '../../src/topics/kafka/publisher.ts';
import type { SealedBatch } from '../../src/topics/kafka/wire/brokers.ts';
import { KafkajsBrokers } from '../../src/topics/kafka/wire/kafkajs-brokers.ts';

const [wanted, nth = '1'] = (process.env['CRASH_AT'] ?? '').split(':');
let left = Number(nth);

function reach(point: string): void {
  if (point !== wanted) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
interface Owner {
  prototype: object;
}

/** Puts `around` in the place of a method; it gets the call as it would have been. */
function wrap(
  owner: Owner,
  name: string,
  around: (call: () => unknown, args: readonly unknown[], self: unknown) => unknown,
): void {
  const methods = owner.prototype as Record<string, Method>;
  const original = methods[name];
  if (original === undefined) throw new Error(`there is no method ${name}`);
  methods[name] = function (...args) {
    return around(() => original.apply(this, args), args, this);
  };
}

/** Marks the moment before a method begins, the next turn after, and the one after it has ended. */
function mark(owner: Owner, name: string, nameOf: (args: readonly unknown[]) => string): void {
  wrap(owner, name, (call, args) => {
    const point = nameOf(args);
    reach(`before ${point}`);
    const result = call();
    if (!(result instanceof Promise)) {
      reach(`after ${point}`);
      return result;
    }
    setImmediate(() => reach(`during ${point}`));
    return result.then((value: unknown) => {
      reach(`after ${point}`);
      return value;
    });
  });
}

mark(RowMessages, 'rows', () => 'row');
mark(ChangeBuffer, 'rows', () => 'queueing');
mark(ChangeBuffer, 'mark', () => 'transaction end');
mark(ChangeBuffer, 'end', () => 'transaction end');
for (const publisher of [EmbeddedPublisher, KafkaPublisher]) {
  mark(publisher, 'publish', ([, checkpoint]) =>
    checkpoint === undefined ? 'publish' : 'publish with checkpoint',
  );
}
mark(Intake, 'accept', () => 'taking in');
mark(Rule, 'among', () => 'look');
mark(IterableHttp, 'post', ([endpoint]) => (endpoint === '/api/users/update' ? 'update' : 'track'));
mark(SentMemory, 'remember', () => 'remembering');
mark(TopicProgress, 'takeMoved', () => 'taking offsets');
mark(EmbeddedMember, 'commit', () => 'commit');
mark(KafkaMember, 'commit', () => 'commit');
mark(EmbeddedDeadLetters, 'add', () => 'dead letter');
mark(KafkaDeadLetters, 'add', () => 'dead letter');
mark(StatementSync, 'run', () => 'statement');

mark(KafkajsBrokers, 'produce', ([, batches]) =>
  (batches as SealedBatch[]).some(({ topic }) => topic.endsWith('.checkpoints'))
    ? 'checkpoint send'
    : 'send',
);

if (process.env['PLANT'] === 'early offset') {
  wrap(TopicProgress, 'add', (call, _, self) => {
    const tracked = call() as Tracked;
    (self as TopicProgress).finish(tracked);
    return tracked;
  });
}
if (process.env['PLANT'] === 'lost row') {
  let rows = 0;
  wrap(RowMessages, 'rows', (call) => {
    rows += 1;
    return rows % 2 === 0 ? 0 : call();
  });
}

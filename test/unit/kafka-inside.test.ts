import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';

const load = createRequire(import.meta.url);

/** kafkajs as it is, but for one of its files. */
const without = (file: string, instead: unknown) => (path: string) => {
  if (!path.endsWith(file)) return load(path) as unknown;
  if (instead instanceof Error) throw instead;
  return instead;
};

describe('the part of kafkajs that is not its interface', () => {
  it('is there', () => {
    expect(Object.keys(kafkajsInside())).toContain('Broker');
  });

  it.each([
    ['package.json', { version: '2.2.5' }, 'version 2.2.5'],
    ['src/broker/index.js', new Error('Cannot find module'), 'Cannot find module'],
    ['src/broker/index.js', Object.assign(() => undefined, { prototype: {} }), 'missing'],
    ['network/connection.js', Object.assign(() => undefined, { prototype: {} }), 'missing'],
    ['cluster/connectionPoolBuilder.js', {}, 'missing'],
    ['requests/index.js', { requests: { Produce: {} } }, 'missing'],
    ['requests/apiKeys.js', { Produce: '0' }, 'missing'],
    ['message/compression/index.js', {}, 'missing'],
    ['protocol/error.js', {}, 'missing'],
  ])('is refused in one sentence where %s is another', (file, instead, why) => {
    expect(() => kafkajsInside(without(file, instead))).toThrow(UnavailableError);
    expect(() => kafkajsInside(without(file, instead))).toThrow(why);
    expect(() => kafkajsInside(without(file, instead))).toThrow('exactly version 2.2.4');
  });
});

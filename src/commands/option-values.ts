import { InvalidArgumentError } from 'commander';

/** Readers of option values; each throws what Commander prints with the option's name. */

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  }
  return value;
}

/** For an option that may come several times. */
export function append(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

/** More than 0, at most 1. */
export function share(text: string): number {
  const value = Number(text);
  if (!/^(\d+(\.\d+)?|\.\d+)$/.test(text) || value <= 0 || value > 1) {
    throw new InvalidArgumentError('It must be a number above 0 and at most 1, for example 0.5.');
  }
  return value;
}

/** Epoch milliseconds of an ISO time; one without an offset is UTC. */
export function isoTime(text: string): number {
  const shape = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;
  const hasZone = /(Z|[+-]\d{2}:?\d{2})$/i.test(text) || !/[T ]/i.test(text);
  const ms = shape.test(text) ? Date.parse(hasZone ? text : `${text}Z`) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError('It must be an ISO time, for example 2026-01-13T14:30:00Z.');
  }
  return ms;
}

export interface PartitionOffset {
  partition: number;
  offset: number;
}

/** `PARTITION:OFFSET`, repeatable. */
export function partitionOffset(
  text: string,
  previous: readonly PartitionOffset[] = [],
): PartitionOffset[] {
  const match = /^(\d{1,9}):(\d{1,15})$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      'It must be PARTITION:OFFSET, for example 3:1200; several are given by the option several times.',
    );
  }
  const partition = Number(match[1]);
  if (previous.some((earlier) => earlier.partition === partition)) {
    throw new InvalidArgumentError(`Partition ${partition} is named twice.`);
  }
  return [...previous, { partition, offset: Number(match[2]) }];
}

/** A TCP port, 0 for any free one. */
export function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) {
    throw new InvalidArgumentError('It must be a port from 0 to 65535.');
  }
  return value;
}

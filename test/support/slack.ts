/**
 * How many times as long as it promises the program may take in a test. A machine that others share
 * keeps no times: there a bound is only to find what hangs. `SLACK=1 npm test`, on a machine that
 * does nothing else, holds the program to its promises; the benchmarks measure them.
 */
const SLACK = Number(process.env['SLACK'] ?? 5);

export const withSlack = (ms: number): number => ms * SLACK;

import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const shared = {
  environment: 'node',
  pool: 'forks',
  setupFiles: ['test/support/fixed-seed.ts'],
};

const servers = {
  ...shared,
  globalSetup: ['test/support/global-setup.ts'],
  hookTimeout: 300_000,
  // On a machine that others share a wait may run out: it gets a second try. A wrong result does not.
  retry: { count: 1, condition: /waited \d+ ms in vain|timed out in \d+ms/ },
};
const fault = { ...servers, testTimeout: 240_000 };

/** They measure times and rates, or keep a small machine busy: each has it to itself. */
const FAULT_ALONE = ['instances', 'iterable', 'kills', 'load', 'outages'].map(
  (name) => `test/fault/${name}.test.ts`,
);
const IS_LONG = process.env['FAULT'] === 'long';

/** A minute or more each: begun last, one of them would run alone at the end. */
const LONGEST = ['kafka-cluster', 'security-container', 'odd-million', 'cluster', 'odd-server'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.indexOf(basename(moduleId, '.test.ts'));
      return found === -1 ? LONGEST.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    maxConcurrency: 8,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // Properties are tried with hundreds of inputs, also on a machine that is busy.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          ...servers,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          // Mostly they wait, for servers that start and for time to pass.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...fault,
          name: 'fault',
          include: ['test/fault/**/*.test.ts'],
          exclude: FAULT_ALONE,
          maxWorkers: IS_LONG ? 1 : 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...fault,
          name: 'fault alone',
          include: FAULT_ALONE,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});

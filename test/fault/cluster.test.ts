import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KafkaCluster } from '../../tools/services/services.ts';
import { EXTENT } from '../support/extent.ts';
import { Pipeline, SEED } from '../support/pipeline.ts';
import type { Program } from '../support/program.ts';
import { injectServices, startOwnKafkaCluster } from '../support/services.ts';
import { withSlack } from '../support/slack.ts';

const RECOVERY_MS_MAX = 15_000;

const say = (line: string): void => void process.stderr.write(`cluster: ${line}\n`);

/** Capture and deliver on the cluster, under a workload, until their `check`. */
class Scene implements AsyncDisposable {
  readonly pipeline: Pipeline;
  readonly #capture: Program;
  readonly #deliver: Program;
  worstMs = 0;

  private constructor(pipeline: Pipeline) {
    this.pipeline = pipeline;
    this.#capture = pipeline.start('capture');
    this.#deliver = pipeline.start('deliver');
  }

  static async open(cluster: KafkaCluster): Promise<Scene> {
    const { brokers } = cluster;
    const database = injectServices().mysql;
    const scene = new Scene(await Pipeline.open({ database, topics: 'Kafka', brokers }));
    await Promise.all([scene.#capture.ready(), scene.#deliver.ready()]);
    return scene;
  }

  /** Writes while `happens`, then measures how long it takes until Iterable holds everything. */
  async during(what: string, happens: () => Promise<void>): Promise<void> {
    const stopWriting = this.pipeline.write(20);
    await sleep(500);
    await happens();
    const backMs = performance.now();
    await stopWriting();
    await this.pipeline.converge();
    const recoveryMs = performance.now() - backMs;
    this.worstMs = Math.max(this.worstMs, recoveryMs);
    say(`${what}: all there after ${Math.round(recoveryMs)} ms`);
    if (recoveryMs > withSlack(RECOVERY_MS_MAX)) throw new Error(`${what}: too late\n${this.#log}`);
  }

  async problems(): Promise<string[]> {
    await this.pipeline.settle([await this.#deliver.ready()]);
    const problems = await this.pipeline.problems();
    return problems.length === 0 ? [] : [...problems, this.#log];
  }

  get #log(): string {
    return `${this.#capture.stderr.slice(-3_000)}\n${this.#deliver.stderr.slice(-6_000)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#capture[Symbol.asyncDispose]();
    await this.#deliver[Symbol.asyncDispose]();
    await this.pipeline[Symbol.asyncDispose]();
  }
}

describe(`a cluster of three brokers (seed ${SEED})`, () => {
  let cluster: KafkaCluster;
  beforeAll(async () => {
    cluster = await startOwnKafkaCluster();
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  it(
    `of which one after the other is killed, ${EXTENT.brokerKills} times, costs no row and goes on soon`,
    async () => {
      await using scene = await Scene.open(cluster);
      for (let round = 0; round < EXTENT.brokerKills; round++) {
        const node = cluster.nodes[round % 3]!;
        await scene.during(`round ${round + 1}, broker ${node.nodeId} killed`, async () => {
          await node.kill();
          await sleep(3_000);
          await node.start();
        });
      }
      say(`${EXTENT.brokerKills} kills: ${Math.round(scene.worstMs)} ms at most`);
      expect(await scene.problems()).toEqual([]);
    },
    EXTENT.brokerKills * 60_000,
  );

  it('of which each is gone for a while, goes on with the other two', async () => {
    await using scene = await Scene.open(cluster);
    for (const node of cluster.nodes) {
      await scene.during(`broker ${node.nodeId} gone`, async () => {
        await node.kill();
        await sleep(4_000);
      });
      await node.start();
    }
    expect(await scene.problems()).toEqual([]);
  }, 240_000);
});

import { describe, expect, it } from 'vitest';
import { runToEnd } from '../support/program.ts';
import { stage } from '../support/stage.ts';
import { message, open, settingsFor } from '../support/topics.ts';

const HOUR_MS = 60 * 60 * 1000;
const iso = (ms: number): string => new Date(ms).toISOString();

describe('replay', () => {
  it.each(['embedded', 'Kafka'] as const)(
    'of %s topics refuses what they do not hold, and says what they hold',
    async (kind) => {
      await using on = await stage();
      const settings = settingsFor(kind);
      const env: Record<string, string> = {
        ...on.env,
        KAFKA_TOPIC: settings.topic,
        KAFKA_BROKERS: settings.kafka?.brokers.join(',') ?? '',
        STATE_DIR: settings.stateDir,
      };
      const replay = (...args: string[]) => runToEnd(['replay', '--dry-run', ...args], env);
      const firstMs = Date.now() - 2 * HOUR_MS;
      {
        await using topics = await open(settings);
        const empty = await replay('--from', iso(firstMs));
        expect(empty).toMatchObject({
          code: 0,
          stdout: `${settings.topic} holds no messages: there is nothing to replay\n`,
        });
        await using publisher = await topics.publisher();
        await publisher.publish(
          [firstMs, firstMs + HOUR_MS].map((ms) => message(settings.topic, 9, '{}', ms)),
        );
      }
      const late = await replay('--from', iso(firstMs + 1.5 * HOUR_MS));
      expect(late.code).toBe(2);
      expect(late.stderr).toContain(
        `hold messages from ${iso(firstMs)} to ${iso(firstMs + HOUR_MS)}`,
      );
      expect(await replay('--from', '2020-01-01')).toMatchObject({ code: 0 });
      const [partition] = / holds the offsets (\d):0 to \d:1,/
        .exec((await replay('--from-offset', '77:0')).stderr)
        ?.slice(1) ?? ['none'];
      const past = await replay('--from-offset', `${partition}:2`);
      expect(past.code).toBe(2);
      expect(past.stderr).toContain(`--from-offset ${partition}:2 is not in the topic`);
      expect(await replay('--from-offset', `${partition}:1`)).toMatchObject({ code: 0 });
    },
  );
});

/** Publishes 0, 1, 2 … one by one and prints each number once it is acknowledged, until killed. */
import { pino } from 'pino';
import type { TopicSettings } from '../../src/settings/types.ts';
import { openTopics } from '../../src/topics/open.ts';

const settings = JSON.parse(process.argv[2] ?? '') as TopicSettings;
const topics = await openTopics(settings, pino({ level: 'silent' }));
const publisher = await topics.publisher();
for (let i = 0; ; i++) {
  const message = {
    topic: topics.names.pageViews,
    key: String(i % 50),
    value: String(i),
    timestampMs: Date.now(),
    headers: {},
  };
  await publisher.publish([message]);
  process.stdout.write(`${i}\n`);
}

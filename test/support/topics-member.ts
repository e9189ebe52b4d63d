/** Joins a group of the embedded topics, prints a line, and keeps its place until it is killed. */
import { pino } from 'pino';
import type { TopicSettings } from '../../src/settings/types.ts';
import { openTopics } from '../../src/topics/open.ts';

const settings = JSON.parse(process.argv[2] ?? '') as TopicSettings;
const topics = await openTopics(settings, pino({ level: 'silent' }));
await topics.ensureTopics();
const { pageViews, userChanges } = topics.names;
await topics.join(process.argv[3] ?? '', [pageViews, userChanges], {
  onAssigned: () => undefined,
  onRebalancing: () => undefined,
  onMessages: () => Promise.resolve(),
  onLost: () => undefined,
  onOtherMark: () => undefined,
});
process.stdout.write('joined\n');
setInterval(() => undefined, 60_000);

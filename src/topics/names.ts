import type { TopicNames } from './port.ts';

/** The four topics' names: the page views topic, and three with it as their prefix. */
export function topicNames(pageViews: string): TopicNames {
  return {
    pageViews,
    userChanges: `${pageViews}.user_changes`,
    deadLetters: `${pageViews}.dead_letters`,
    checkpoints: `${pageViews}.checkpoints`,
  };
}

import type { Settings } from './types.ts';

/** Every secret among the settings, as it may stand in a text: what is said never has one of them. */
export function secretsOf({ iterable, db, topics }: Settings): string[] {
  return [
    iterable.apiKey,
    db.password,
    topics.kafka?.sasl?.password ?? '',
    ...proxySecrets(iterable.proxy?.url),
  ];
}

/** A proxy's password as it is written in its URL, and as it is. */
function proxySecrets(url: string | undefined): string[] {
  const { password = '' } = (url === undefined ? null : URL.parse(url)) ?? {};
  return [password, decodeURIComponent(password)];
}

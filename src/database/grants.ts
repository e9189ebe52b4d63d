import { quoted } from '../model/data-model.ts';
import type { DatabaseSettings } from '../settings/types.ts';

/** The program's user, as statements name it. */
export const userOf = ({ user }: Pick<DatabaseSettings, 'user'>): string => `'${user}'@'%'`;

/** What lets it read the tables. */
export const readGrant = (db: Pick<DatabaseSettings, 'name' | 'user'>): string =>
  `GRANT SELECT ON ${quoted(db.name)}.* TO ${userOf(db)}`;

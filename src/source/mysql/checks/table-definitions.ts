import type { Connection } from 'mysql2/promise';
import { userOf } from '../../../database/grants.ts';
import type { DatabaseSettings } from '../../../settings/types.ts';
import { type Check, refusalOf } from './check.ts';
import { type Parent, checkCascades, readCascades } from './foreign-keys.ts';
import { checkKinds } from './table-kinds.ts';

/** What of the tables' definitions the stream depends on; it may change while capture runs. */
export interface Definitions {
  /** Tables whose changes cascade into ours. */
  parents: readonly Parent[];
  /** Why these tables cannot be captured at all, in a sentence; null: they can. */
  refusal: string | null;
  checks: readonly Check[];
}

/** Asks the server what the tables are, beside their columns. Tables that are missing are no fault here. */
export async function readDefinitions(
  connection: Connection,
  db: DatabaseSettings,
): Promise<Definitions> {
  const kinds = await checkKinds(connection, db);
  const cascades = await readCascades(connection, db.name, db.model);
  const checks = [kinds, checkCascades(cascades, userOf(db))];
  return { parents: cascades.parents, refusal: refusalOf(checks), checks };
}

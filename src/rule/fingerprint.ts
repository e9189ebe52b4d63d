import { createHash } from 'node:crypto';
import type { Settings } from '../settings/types.ts';
import { ruleText } from './rule-sql.ts';

/**
 * Says whether two runs have the same rule, of the same tables, columns and fields, and the same
 * Iterable project: what one has sent is only then what the other would find in Iterable. The key
 * stands for the project, since nothing else tells one from another: a new key of the same project
 * passes for another project, which costs repeats; the other way round would cost holes. No secret
 * can be read from it.
 */
export function ruleFingerprint({
  rule,
  db,
  iterable,
}: Pick<Settings, 'rule' | 'db' | 'iterable'>): string {
  const parts = [
    ruleText().replace(/\s+/g, ' '),
    rule.planType,
    [...rule.pages].toSorted(),
    rule.lookbackDays,
    db.timeZone,
    db.model,
    iterable.baseUrl,
    iterable.apiKey,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32);
}

import type { Dice } from './dice.ts';

/** How a writer's session differs from others'. */
const SESSIONS = [
  "SET SESSION transaction_isolation = 'SERIALIZABLE'",
  "SET SESSION transaction_isolation = 'READ-UNCOMMITTED'",
  "SET SESSION time_zone = '+09:00'",
  "SET SESSION sql_mode = 'ANSI_QUOTES'",
  "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO'",
  'SET SESSION foreign_key_checks = 0',
  'SET SESSION completion_type = 1',
];
/** The log then lacks what is needed: capture may stop in words, and say what to set. */
const LOSSY = [
  "SET SESSION binlog_row_image = 'MINIMAL'",
  "SET SESSION binlog_row_image = 'NOBLOB'",
  "SET SESSION binlog_format = 'STATEMENT'",
  "SET SESSION binlog_format = 'MIXED'",
];

export interface WriterSession {
  statements: string[];
  isLossy: boolean;
}

export function drawSession(dice: Dice): WriterSession {
  const statements = dice.some(SESSIONS, 2);
  const isLossy = dice.chance(0.04);
  if (isLossy) statements.push(dice.of(LOSSY));
  for (const statement of statements) dice.note(statement.replace('SET SESSION ', 'writer '));
  return { statements, isLossy };
}

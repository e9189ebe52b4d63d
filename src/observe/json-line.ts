import { plainJson } from '../plain-text.ts';

/** A line of a JSON log that no logger writes: its beginning, or its end. */
export function jsonLine(
  level: 'info' | 'warn' | 'error',
  msg: string,
  fields: Readonly<Record<string, unknown>> = {},
): string {
  return `${plainJson({ level, time: new Date().toISOString(), ...fields, msg })}\n`;
}

import { type Check, unchecked } from '../source/mysql/checks/check.ts';
import { oneLine } from '../plain-text.ts';

/**
 * `ok` holds; `FAIL` must be put right; `note` is advice, and nothing stops without it; `skip` was
 * not checked, because of what another line says.
 */
export type Mark = 'ok' | 'FAIL' | 'note' | 'skip';

/** One line of the report. */
export interface ReportLine extends Check {
  mark: Mark;
}

export function holds(name: string, detail: string): ReportLine {
  return { name, mark: 'ok', ok: true, required: true, detail, fix: null };
}

export function fails(name: string, detail: string, fix: string): ReportLine {
  return { name, mark: 'FAIL', ok: false, required: true, detail, fix };
}

/** Worth knowing, and needed by nothing. */
export function advises(name: string, detail: string, fix: string): ReportLine {
  return { name, mark: 'note', ok: false, required: false, detail, fix };
}

export function notChecked(name: string, because: string): ReportLine {
  return { ...unchecked(name, because), mark: 'skip' };
}

/** A check of the source as a line of the report. */
export function lineFrom(check: Check, name: string): ReportLine {
  if (check.ok) return { ...check, name, mark: 'ok' };
  if (check.fix === null) return { ...check, name, mark: 'skip' };
  return { ...check, name, mark: check.required ? 'FAIL' : 'note' };
}

export function isWell(lines: readonly ReportLine[]): boolean {
  return lines.every(({ mark }) => mark !== 'FAIL');
}

/** The last line for people: the first ones may have left the screen. */
export function summaryOf(lines: readonly ReportLine[]): string {
  const failed = lines.filter(({ mark }) => mark === 'FAIL').length;
  if (failed === 0) return 'All that is needed is in place.';
  return failed === 1
    ? '1 check failed: see FAIL above.'
    : `${failed} checks failed: see FAIL above.`;
}

/** For people. */
export function textOf({ name, mark, detail, fix }: ReportLine): string {
  const end = /[.?!]$/.test(detail) ? '' : '.';
  const advice = fix === null ? '' : `${end} ${mark === 'FAIL' ? 'To do' : 'Advice'}: ${fix}`;
  return oneLine(`${mark.padEnd(4)}  ${name}: ${detail}${advice}`);
}

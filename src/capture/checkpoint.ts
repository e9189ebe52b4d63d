import type { SavedPosition, SourcePosition } from '../source/port.ts';

/** A look at everyone that is owed. */
export interface PendingResync {
  because: string;
  /** Whether changes after the position could not be read: begin at another one, with the look. */
  isAnew: boolean;
}

/** What is saved with the messages: where to go on from, and what is owed there. */
export interface Checkpoint {
  position: SavedPosition;
  pending: PendingResync | null;
}

/** As it is stored (docs/data-format.md): `lost` is a pending resync that begins anew, `everyone` another. */
export function checkpointText(
  position: SourcePosition,
  pending: PendingResync | null,
  nowMs: number,
): string {
  const owed = pending === null ? {} : { [pending.isAnew ? 'lost' : 'everyone']: pending.because };
  return JSON.stringify({ ...position.saved, at: new Date(nowMs).toISOString(), ...owed });
}

/** Reads a saved checkpoint; null when the text is none (then it is as if there were none). */
export function parseCheckpoint(text: string): Checkpoint | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { at, lost, everyone, ...position } = value as Record<string, unknown>;
  if (typeof at !== 'string') return null;
  const pending = (because: unknown, isAnew: boolean): PendingResync | null =>
    typeof because === 'string' ? { because, isAnew } : null;
  return { position, pending: pending(lost, true) ?? pending(everyone, false) };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Screen } from '../observe/screen.ts';

const EVERY_MS = 500;

/** What a running stream shows below its log; null where it is not known, or no part of this process. */
export interface StreamFigures {
  /** Parts that do not work. */
  troubles: readonly string[];
  captured: number | null;
  waiting: number | null;
  sent: number | null;
  refused: number | null;
  lag: number | null;
  /** Epoch ms. */
  lastDeliveryMs: number | null;
}

/** One line; what is first is seen also where the terminal is narrow. */
export function statusLine(figures: StreamFigures, nowMs: number): string {
  const { troubles, lastDeliveryMs } = figures;
  const count = (name: string, value: number | null): string[] =>
    value === null ? [] : [`${name} ${value}`];
  const ago =
    lastDeliveryMs === null ? [] : [`last delivery ${agoText(nowMs - lastDeliveryMs)} ago`];
  return [
    ...(troubles.length === 0 ? [] : [`not ready: ${troubles.join(', ')}`]),
    ...count('waiting', figures.waiting),
    ...count('sent', figures.sent),
    ...count('refused', figures.refused),
    ...count('lag', figures.lag),
    ...count('captured', figures.captured),
    ...ago,
  ].join(' · ');
}

function agoText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** Keeps the line below the log until it is disposed of. */
export function showStatus(screen: Screen, read: () => Promise<StreamFigures>): Disposable {
  const ending = new AbortController();
  const { signal } = ending;
  let figures: StreamFigures | null = null;
  void (async () => {
    while (!signal.aborted) {
      figures = await read().catch(() => null);
      await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  })();
  const text = (): string => (figures === null ? '' : statusLine(figures, Date.now()));
  const line = screen.show(text, false);
  return {
    [Symbol.dispose]: () => {
      ending.abort();
      line[Symbol.dispose]();
    },
  };
}

/** A step back that is less than this is the clock's own unrest. */
const BACK_MS_MAX = 1_000;

/**
 * Makes Date.now() of this process run on where the machine's clock is set back: kafkajs and
 * Bottleneck measure their times by it, and would wait (with their heartbeats, with the next call)
 * until the old time has come again. A step forward counts at once; after a step back, the time is
 * ahead of the machine's by that step until that has caught up.
 */
export function keepClockSteady(): void {
  const now = Date.now.bind(Date);
  let ahead = now() - performance.now();
  Date.now = () => {
    const sinceStart = performance.now();
    const wall = now();
    const steady = sinceStart + ahead;
    if (wall < steady - BACK_MS_MAX) return Math.floor(steady);
    ahead = wall - sinceStart;
    return wall;
  };
}

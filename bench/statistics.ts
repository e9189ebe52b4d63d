/** The value below which `part` (0 to 1) of the values lie. NaN for none. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** The most values that lie in any window of `window`, however it is laid. */
export function slidingMaximum(values: readonly number[], window: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [last, value] of sorted.entries()) {
    while (value - (sorted[first] ?? value) >= window) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

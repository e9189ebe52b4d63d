/** One figure, with a value for each round; none where it could not be measured here. */
export interface Figure {
  /** Lasting: by it the documents find the figure. */
  id: string;
  unit: string;
  values: readonly number[];
  /** Why there are no values, in words. */
  notMeasured?: string;
}

export interface Summary {
  median: number;
  min: number;
  max: number;
}

/** @throws RangeError where there are no values. */
export function summary(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new RangeError('there are no values');
  const half = sorted.length >> 1;
  const [below, above] = [sorted[half - 1] ?? min, sorted[half] ?? max];
  return { median: sorted.length % 2 === 1 ? above : (below + above) / 2, min, max };
}

/** To three digits at least, the whole part never shortened: 12,345 and 6.04. */
export function numberText(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** `12,345 rows/s (11,900–12,800)`, or why there is no value. */
export function figureText({ unit, values, notMeasured }: Figure): string {
  if (values.length === 0) return `not measured: ${notMeasured ?? 'no round ended'}`;
  const { median, min, max } = summary(values);
  const spread = values.length > 1 ? ` (${numberText(min)}–${numberText(max)})` : '';
  return `${numberText(median)} ${unit}${spread}`;
}

/** The rounds of figures with the same id put together, in the order of the first. */
export function joined(figures: readonly Figure[]): Figure[] {
  const byId = new Map<string, Figure>();
  for (const figure of figures) {
    const before = byId.get(figure.id);
    if (before === undefined) byId.set(figure.id, figure);
    else byId.set(figure.id, { ...before, values: [...before.values, ...figure.values] });
  }
  return [...byId.values()];
}

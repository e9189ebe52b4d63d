import { figureText, numberText } from '../../bench/figures.ts';
import type { Report, ReportedFigure } from '../../bench/report.ts';

/** The figures of a report by their ids, for texts: what was not measured says so. */
export class Measured {
  readonly report: Report;
  readonly #byId: ReadonlyMap<string, ReportedFigure>;

  constructor(report: Report) {
    this.report = report;
    this.#byId = new Map(report.figures.map((figure) => [figure.id, figure]));
  }

  /** The median; null where there is none. */
  number(id: string): number | null {
    return this.#byId.get(id)?.median ?? null;
  }

  /** Median, unit and spread, or why there are none. */
  text(id: string): string {
    const figure = this.#byId.get(id);
    return figure === undefined ? 'not measured' : figureText(figure);
  }

  /** Without the unit: the table's head has it. */
  cell(id: string): string {
    const figure = this.#byId.get(id);
    if (figure === undefined) return 'not measured';
    if (figure.values.length === 0) return figureText(figure);
    return figureText({ ...figure, unit: '' })
      .replace(/ {2,}| (?=$)/g, ' ')
      .trim();
  }

  /** What comes of a figure by arithmetic, rounded, with a unit; words where it is missing. */
  derived(id: string, of: (value: number) => number, unit = ''): string {
    const value = this.number(id);
    return value === null ? `(not measured)${unit}` : `${rounded(of(value))}${unit}`;
  }

  /** Whether small sizes are among them. */
  get isTrial(): boolean {
    return this.report.figures.some(({ isQuick }) => isQuick);
  }

  get dates(): string {
    const dates = this.report.figures.map(({ date }) => date).toSorted();
    const [first = '', last = first] = [dates[0], dates.at(-1)];
    return first === last ? first : `${first} to ${last}`;
  }
}

/** So many digits that count: more would claim what arithmetic on medians does not know. */
export function rounded(value: number, digits = 2): string {
  const text = Number(value.toPrecision(digits));
  return text >= 100 ? text.toLocaleString('en-US') : numberText(text).replace(/\.?0+$/, '');
}

import * as echarts from 'echarts';
import type { Measured } from './measured.ts';

const WIDTH = 760;
const HEIGHT = 380;
/** Readable on white and on GitHub's dark page: each has a contrast of at least 3 on both. */
const TEXT = '#747c86';
const LINE = 'rgba(127, 135, 145, 0.45)';
const COLOURS = ['#3b82f6', '#d9772f', '#2f9e6e'];
const FONT = 'Helvetica, Arial, sans-serif';

function svgOf(option: echarts.EChartsCoreOption): string {
  const chart = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: HEIGHT,
  });
  chart.setOption({
    animation: false,
    backgroundColor: 'transparent',
    color: COLOURS,
    textStyle: { color: TEXT, fontFamily: FONT },
    ...option,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  // Classes for the pointer, and numbers of the process: the same figures are to make the same file.
  const still = svg.replace(/<style >[^]*?<\/style>\n?/, '').replaceAll(/ class="[^"]*"/g, '');
  return `${still.replaceAll(/zr\d+-/g, 'zr-')}\n`;
}

const axis = {
  axisLine: { lineStyle: { color: LINE } },
  axisTick: { lineStyle: { color: LINE } },
  axisLabel: { color: TEXT, fontSize: 13 },
  splitLine: { lineStyle: { color: LINE } },
  nameTextStyle: { color: TEXT, fontSize: 13 },
};
const title = (text: string): object => ({
  text,
  left: 'center',
  textStyle: { color: TEXT, fontSize: 16, fontWeight: 'bold', fontFamily: FONT },
});

export interface Program {
  id: string;
  title: string;
}

/** Rows a second of a catch-up, one group of bars for each size of a transaction. */
export function ratesChart(measured: Measured, programs: readonly Program[]): string {
  const groups = [
    { name: '1,000 rows a transaction', what: 'peers.catch-up-1000' },
    { name: 'one row a transaction', what: 'peers.catch-up-1' },
  ];
  const shown = programs.filter(({ id }) =>
    groups.some(({ what }) => measured.number(`${what}.rowsPerSecond.${id}`) !== null),
  );
  return svgOf({
    title: title('Catching up: rows a second into Kafka (more is better)'),
    legend: { top: 34, itemGap: 50, textStyle: { color: TEXT, fontSize: 13 } },
    grid: { left: 80, right: 30, top: 80, bottom: 40 },
    xAxis: { type: 'category', data: groups.map(({ name }) => name), ...axis },
    yAxis: { type: 'value', ...axis },
    series: shown.map(({ id, title }) => ({
      type: 'bar',
      silent: true,
      name: title,
      barMaxWidth: 90,
      label: {
        show: true,
        position: 'top',
        color: TEXT,
        fontSize: 13,
        formatter: ({ value }: { value: unknown }) =>
          Number(value) > 0 ? Number(value).toLocaleString('en-US') : '',
      },
      data: groups.map(({ what }) =>
        Math.round(measured.number(`${what}.rowsPerSecond.${id}`) ?? 0),
      ),
    })),
  });
}

export const GROWTH_SIZES = [1, 10, 100, 1_000, 10_000] as const;

/** Microseconds of CPU a row, by the rows that a transaction has. */
export function growthChart(measured: Measured): string {
  const costs = GROWTH_SIZES.map((size) =>
    measured.number(`growth.capture-${size}.cpuSecondsPerMillion.iterable-sync`),
  );
  return svgOf({
    title: title("Capture's CPU a row, by rows a transaction (less is better)"),
    grid: { left: 70, right: 40, top: 90, bottom: 60 },
    xAxis: {
      type: 'category',
      data: GROWTH_SIZES.map((size) => size.toLocaleString('en-US')),
      name: 'rows a transaction',
      nameLocation: 'middle',
      nameGap: 34,
      ...axis,
    },
    yAxis: { type: 'value', min: 0, name: 'µs of CPU a row', ...axis },
    series: [
      {
        type: 'line',
        silent: true,
        symbol: 'circle',
        symbolSize: 9,
        lineStyle: { width: 3 },
        label: {
          show: true,
          position: 'top',
          color: TEXT,
          fontSize: 13,
          formatter: ({ value }: { value: unknown }) => Number(value).toFixed(1),
        },
        data: costs,
      },
    ],
  });
}

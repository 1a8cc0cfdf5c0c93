/** Lines or bars over time. What a chart shows is also in a table beside it: a canvas tells screen readers nothing. */

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

export interface Series {
  name: string;
  values: (number | null)[];
}

interface Props {
  label: string;
  /** Seconds since the epoch. */
  times: number[];
  series: Series[];
  write: (value: number) => string;
  /** What the scale reaches at least. Four lets whole numbers be at its lines. */
  least?: number;
  /** Days are UTC's and have bars; anything else is lines in local time. */
  byDay?: boolean;
}

const HEIGHT = 200;
const DAY = 86_400;
const DARK = matchMedia("(prefers-color-scheme: dark)");

export function Chart({ label, times, series, write, least = 4, byDay = false }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const [isDark, setDark] = useState(DARK.matches);
  const names = series.map(({ name }) => name).join("\n");
  const data = [times, ...series.map(({ values }) => values)] as uPlot.AlignedData;

  useEffect(() => {
    const turn = () => setDark(DARK.matches);
    DARK.addEventListener("change", turn);
    return () => DARK.removeEventListener("change", turn);
  }, []);

  useEffect(() => {
    const holder = place.current;
    if (!holder) return;
    const made = new uPlot(options(holder, names.split("\n"), { write, least, byDay }), data, holder);
    chart.current = made;
    showLast(made);
    const fit = new ResizeObserver(() => made.setSize({ width: holder.clientWidth, height: HEIGHT }));
    fit.observe(holder);
    return () => {
      fit.disconnect();
      made.destroy();
      chart.current = undefined;
    };
  }, [names, byDay, isDark]);

  useEffect(() => {
    chart.current?.setData(data);
    if (chart.current) showLast(chart.current);
  }, [times, series]);

  return <div class="chart" ref={place} role="img" aria-label={label} />;
}

/** Where no pointer is, the legend tells the latest values. */
function showLast(chart: uPlot): void {
  const count = chart.data[0].length;
  if (count > 0 && chart.cursor.idx == null) chart.setLegend({ idx: count - 1 });
}

type Look = Required<Pick<Props, "write" | "least" | "byDay">>;

function options(holder: HTMLElement, names: string[], { write, least, byDay }: Look): uPlot.Options {
  const style = getComputedStyle(holder);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: colour("--muted"), font, ticks: { show: false }, grid: { stroke: colour("--line"), width: 1 } };
  const value = (_: uPlot, value: number | null) => (value == null ? "–" : write(value));
  return {
    width: holder.clientWidth || 300,
    height: HEIGHT,
    ...(byDay && { tzDate: (time: number) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC") }),
    cursor: { y: false, points: { size: 6 } },
    scales: {
      // Half a day more on each side, where the first and the last bar have their halves.
      ...(byDay && { x: { range: (_: uPlot, min: number, max: number): uPlot.Range.MinMax => [min - DAY / 2, max + DAY / 2] } }),
      y: { range: (_, __, max) => [0, Math.max(max * 1.1, least)] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 70 },
      { ...axis, size: 64, values: (_, marks) => marks.map(write) },
    ],
    series: [
      { value: (_, time) => (time == null ? "–" : moment(time, byDay)) },
      ...names.map((label, index) => {
        const stroke = colour(`--series-${(index % 6) + 1}`);
        const bars = { fill: `${stroke}`, paths: uPlot.paths.bars?.({ size: [0.7, 40], radius: 0.2 }) };
        return { label, value, stroke, width: byDay ? 0 : 1.75, points: { show: false }, ...(byDay && bars) };
      }),
    ],
    hooks: { setCursor: [showLast] },
  };
}

function moment(time: number, byDay: boolean): string {
  const date = new Date(time * 1000);
  return byDay
    ? date.toLocaleDateString(undefined, { dateStyle: "medium", timeZone: "UTC" })
    : date.toLocaleTimeString();
}

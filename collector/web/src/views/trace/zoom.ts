// The part of a trace's time that is shown.
import { showDuration } from "../../ui/format";

/** From a time to another, in nanoseconds since the start of the trace. */
export interface Zoom {
  from: number;
  to: number;
}

/** The part that a text of the URL names; all of the trace where it names none. `total` is how long that is. */
export function readZoom(text: string, total: number): Zoom {
  const found = /^(-?\d+)-(\d+)$/.exec(text);
  const from = Number(found?.[1] ?? 0);
  const to = Number(found?.[2] ?? total);
  return to > from ? { from, to } : { from: 0, to: total };
}

/** A part as the URL names it. */
export function zoomText({ from, to }: Zoom): string {
  return `${Math.round(from)}-${Math.round(to)}`;
}

const PARTS = 4;

/** What keys make of a part: they move it by a quarter of its own length, or halve or double it about its middle; null where that is all
 * of the trace, undefined for other keys. */
export function zoomedBy(key: string, zoom: Zoom, total: number): Zoom | null | undefined {
  const length = zoom.to - zoom.from;
  const moved = (by: number): Zoom => {
    const from = Math.min(Math.max(zoom.from + by, 0), Math.max(total - length, 0));
    return { from, to: from + length };
  };
  switch (key) {
    case "ArrowLeft": return moved(-length / PARTS);
    case "ArrowRight": return moved(length / PARTS);
    case "Home": return moved(-total);
    case "End": return moved(total);
    case "ArrowUp": return length < PARTS ? zoom : { from: zoom.from + length / 4, to: zoom.to - length / 4 };
    case "ArrowDown": {
      if (2 * length >= total) return null;
      const from = Math.min(Math.max(zoom.from - length / 2, 0), total - 2 * length);
      return { from, to: from + 2 * length };
    }
    case "Escape": return null;
    default: return undefined;
  }
}

/** What stands at the axis, from the beginning of what is shown to its end, at equal distances. Where three digits do not tell these
 * times apart, they count from the first; what is shorter than there are parts is not divided. */
export function axisLabels({ from, to }: Zoom): string[] {
  const parts = to - from < PARTS ? 1 : PARTS;
  const times = Array.from({ length: parts + 1 }, (_, at) => from + ((to - from) * at) / parts);
  const labels = times.map((time) => (time === 0 ? "0" : showDuration(time)));
  if (new Set(labels).size === labels.length) return labels;
  return labels.map((label, at) => (at === 0 ? label : `+${showDuration((times[at] as number) - from)}`));
}

/** A part of what is shown, in per cent from its left edge. */
export interface ShownPart extends Zoom {
  /** Whether it lies outside, before the one edge or behind the other. */
  isOutside: boolean;
}

/** Where a time lies in what is shown; what lies outside is cut off. */
export function shownPart(zoom: Zoom, from: number, to: number): ShownPart {
  const percent = (time: number): number => Math.min(Math.max(((time - zoom.from) / (zoom.to - zoom.from)) * 100, 0), 100);
  // What took no time may lie on an edge.
  const isOutside = from === to ? to < zoom.from || from > zoom.to : to <= zoom.from || from >= zoom.to;
  return { from: percent(from), to: percent(to), isOutside };
}

/** The place, as CSS, of something that is to be seen, however short, unless it lies outside. */
export function placeOf({ from, to, isOutside }: ShownPart, leastPixels: number): string {
  return isOutside ? "width:0" : `left:min(${from}%,100% - ${leastPixels}px);width:max(${to - from}%,${leastPixels}px)`;
}

// The part of a trace's time that is shown.

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

/** Where a time lies in what is shown, in per cent from its left edge; what lies outside is cut off. */
export function shownPart(zoom: Zoom, from: number, to: number): Zoom {
  const percent = (time: number): number => Math.min(Math.max(((time - zoom.from) / (zoom.to - zoom.from)) * 100, 0), 100);
  return { from: percent(from), to: percent(to) };
}

/** The place, as CSS, of something that is to be seen, however short, unless it lies outside. */
export function placeOf({ from, to }: Zoom, leastPixels: number): string {
  return `left:${from}%;width:${from === 100 || to === 0 ? "0" : `max(${to - from}%,${leastPixels}px)`}`;
}

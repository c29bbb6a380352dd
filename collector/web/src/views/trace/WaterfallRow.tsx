// One row of the waterfall. It is drawn anew with every step of scrolling, so it has few elements, and what is rare has none of its own
// where there is nothing to say.
import { serviceColor } from "../../ui/colors";
import { showCount, showDuration } from "../../ui/format";
import type { Bar } from "./model";
import type { OnPath } from "./path";
import type { Zoom } from "./Waterfall";

export const ROW = 24;
const MOST_INDENTS = 24;

interface Props {
  bar: Bar;
  zoom: Zoom;
  path: OnPath | undefined;
  chosen: boolean;
  collapsed: boolean;
  hit: boolean;
  /** Levels that are not shown. */
  indent: number;
}

export function WaterfallRow({ bar, zoom, path, chosen, collapsed, hit, indent }: Props) {
  const names = `waterfall-row${chosen ? " chosen" : ""}${hit ? " hit" : ""}${bar.failed ? " failed" : ""}${bar.staysInService ? " same-service" : ""}`;
  const color = serviceColor(bar.service);
  const duration = showDuration(bar.duration);
  const shown = part(zoom, bar.offset, bar.offset + bar.duration);
  // The duration stands behind the bar, before it where there is no room behind, or in it where there is none at either side.
  const behind = shown.to <= 80;
  const inside = shown.from < 15;
  return (
    <div class={names} role="treeitem" data-at={bar.at} aria-level={bar.depth + 1} aria-selected={chosen} aria-expanded={bar.children ? !collapsed : undefined}
      aria-label={`${bar.service}: ${bar.name}, ${duration}${bar.failed ? ", failed" : ""}`}>
      <div class="cell-name">
        <span class={bar.children ? "twisty" : "twisty leaf"} aria-hidden="true" style={`color:${color};width:calc(${Math.min(bar.depth - indent, MOST_INDENTS)} * var(--indent) + 32px)`}>
          {bar.children ? (collapsed ? "▸ ●" : "▾ ●") : "●"}
        </span>
        <Notes bar={bar} collapsed={collapsed} />
        <b>{bar.service}</b> {bar.name}
      </div>
      <div class="cell-time" style={behind ? `text-indent:${shown.to + 0.4}%` : ""}>
        <span class="bar" style={`${place(shown, 2)};background-color:${color}`} />
        {path?.segments.map((segment) => (
          <span key={segment.from} class={segment.uncertain ? "on-path uncertain" : "on-path"} style={place(part(zoom, segment.from, segment.to), 1)} />
        ))}
        {behind ? duration : <span class={inside ? "bar-label inside" : "bar-label"} style={`right:${100 - (inside ? shown.to : shown.from) + 0.5}%`}>{duration}</span>}
      </div>
    </div>
  );
}

/** What is to be known before a span is looked at. */
function Notes({ bar, collapsed }: { bar: Bar; collapsed: boolean }) {
  if (!bar.failed && !bar.missingParent && !collapsed) return null;
  return (
    <span class="notes">
      {bar.missingParent && <span class="badge warn" title="Its parent is not in the trace">?</span>}
      {collapsed && <span class="badge plain">+{showCount(bar.descendants)}</span>}
      {collapsed && bar.errorsBelow > 0 && <span class="badge error">{showCount(bar.errorsBelow)} failed</span>}
      {bar.failed && <span class="badge error">error</span>}
    </span>
  );
}

/** From where to where a time lies in what is shown, in per cent; what lies outside is cut off. */
function part(zoom: Zoom, from: number, to: number): Zoom {
  const percent = (time: number): number => Math.min(Math.max(((time - zoom.from) / (zoom.to - zoom.from)) * 100, 0), 100);
  return { from: percent(from), to: percent(to) };
}

/** The place of something that is to be seen, however short, unless it lies outside. */
function place({ from, to }: Zoom, least: number): string {
  return `left:${from}%;width:${from === 100 || to === 0 ? "0" : `max(${to - from}%,${least}px)`}`;
}

/** All that a bar can say in a few lines. */
export function hint(bar: Bar, path: OnPath | undefined): string {
  const lines = [`${bar.service}: ${bar.name}`, `${showDuration(bar.duration)}, of its own ${showDuration(bar.self)}`];
  if (path?.segments.length) lines.push(`On the critical path; without it the trace would be ${showDuration(path.saved)} shorter`);
  else if (path) lines.push(`Not waited for: ${showDuration(path.slack)} of slack`);
  if (bar.precedesParent) lines.push("Starts before its parent");
  if (bar.outlivesParent) lines.push("Ends after its parent");
  if (bar.skew) lines.push(`Its clock seems to be ${showDuration(bar.skew)} ahead`);
  return lines.join("\n");
}

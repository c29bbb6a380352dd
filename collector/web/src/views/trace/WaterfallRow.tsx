// One row of the waterfall. It is drawn anew with every step of scrolling, so it has few elements, and what is rare has none of its own
// where there is nothing to say.
import { showCount, showDuration, showName } from "../../ui/format";
import type { Bar } from "./model";
import type { OnPath } from "./path";
import { placeOf, shownPart, type Zoom } from "./zoom";

export const ROW = 22;
const MOST_INDENTS = 24;

interface Props {
  bar: Bar;
  /** Of its service. */
  color: string;
  zoom: Zoom;
  path: OnPath | undefined;
  chosen: boolean;
  collapsed: boolean;
  hit: boolean;
  /** Levels that are not shown. */
  indent: number;
}

export function WaterfallRow({ bar, color, zoom, path, chosen, collapsed, hit, indent }: Props) {
  const names = `waterfall-row${chosen ? " chosen" : ""}${hit ? " hit" : ""}${bar.failed ? " failed" : ""}${bar.staysInService ? " same-service" : ""}`;
  const duration = showDuration(bar.duration);
  const shown = shownPart(zoom, bar.offset, bar.offset + bar.duration);
  // The duration stands behind the bar, before it where there is no room behind, or in it where there is none at either side.
  const behind = shown.to <= 80;
  const inside = shown.from < 15;
  return (
    <div class={names} id={rowId(bar.at)} role="treeitem" data-at={bar.at} aria-level={bar.depth + 1} aria-selected={chosen} aria-expanded={bar.children ? !collapsed : undefined}
      aria-label={`${showName(bar.service)}: ${showName(bar.name)}, ${duration}${bar.failed ? ", failed" : ""}`}>
      <div class="cell-name">
        <span class={bar.children ? "twisty" : "twisty leaf"} aria-hidden="true" style={`color:${color};width:min(${Math.min(bar.depth - indent, MOST_INDENTS)} * var(--indent) + 32px, 60%)`}>
          {bar.children ? (collapsed ? "▸ ●" : "▾ ●") : "●"}
        </span>
        <Notes bar={bar} collapsed={collapsed} />
        <b>{showName(bar.service)}</b> <bdi>{showName(bar.name)}</bdi>
      </div>
      <div class="cell-time" style={behind ? `text-indent:${shown.to + 0.4}%` : ""}>
        <span class="bar" style={`${placeOf(shown, 2)};background-color:${color}`} />
        {path?.segments.map((segment) => (
          <span key={segment.from} class={segment.uncertain ? "on-path uncertain" : "on-path"} style={placeOf(shownPart(zoom, segment.from, segment.to), 1)} />
        ))}
        {behind ? duration : <span class={inside ? "bar-label inside" : "bar-label"} style={`right:${100 - (inside ? shown.to : shown.from) + 0.5}%`}>{duration}</span>}
      </div>
    </div>
  );
}

/** The id of the element of a bar's row. */
export function rowId(at: number): string {
  return `bar-${at}`;
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

/** All that a bar can say in a few lines. */
export function hint(bar: Bar, path: OnPath | undefined): string {
  const lines = [`${showName(bar.service)}: ${showName(bar.name)}`, `${showDuration(bar.duration)}, of its own ${showDuration(bar.self)}`];
  if (path?.segments.length) lines.push(`On the critical path; without it the trace would be ${showDuration(path.saved)} shorter`);
  else if (path) lines.push(`Not waited for: ${showDuration(path.slack)} of slack`);
  if (bar.precedesParent) lines.push("Starts before its parent");
  if (bar.outlivesParent) lines.push("Ends after its parent");
  if (bar.skew) lines.push(`Its clock seems to be ${showDuration(bar.skew)} ahead`);
  return lines.join("\n");
}

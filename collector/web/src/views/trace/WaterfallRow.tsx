import { serviceColor } from "../../ui/colors";
import { showCount, showDuration } from "../../ui/format";
import type { Bar } from "./model";
import type { OnPath } from "./path";
import type { Zoom } from "./Waterfall";

export const ROW = 24;
const INDENT = 14;

interface Props {
  bar: Bar;
  zoom: Zoom;
  path: OnPath | undefined;
  chosen: boolean;
  collapsed: boolean;
  hit: boolean;
  /** Levels that are not shown. */
  indent: number;
  onToggle: (at: number) => void;
  onChoose: (at: number) => void;
}

export function WaterfallRow({ bar, zoom, path, chosen, collapsed, hit, indent, onToggle, onChoose }: Props) {
  const length = zoom.to - zoom.from;
  const percent = (time: number): number => ((time - zoom.from) / length) * 100;
  const left = percent(bar.offset);
  const width = (bar.duration / length) * 100;
  const names = ["waterfall-row", chosen && "chosen", hit && "hit", bar.failed && "failed"].filter(Boolean).join(" ");
  return (
    <div class={names} role="treeitem" aria-level={bar.depth + 1} aria-selected={chosen} aria-expanded={bar.children ? !collapsed : undefined}
      aria-label={`${bar.service}: ${bar.name}, ${showDuration(bar.duration)}${bar.failed ? ", failed" : ""}`}
      style={{ height: `${ROW}px` }} onClick={() => onChoose(bar.at)}>
      <div class="cell-name" style={{ paddingLeft: `${Math.min(bar.depth - indent, 24) * INDENT + 4}px` }}>
        {bar.children ? (
          <button type="button" class="twisty" tabIndex={-1} aria-label={collapsed ? "Expand" : "Collapse"}
            onClick={(event) => { event.stopPropagation(); onToggle(bar.at); }}>
            {collapsed ? "▸" : "▾"}
          </button>
        ) : <span class="twisty" />}
        <span class="dot" style={{ background: serviceColor(bar.service) }} />
        <span class="ellipsis" title={`${bar.service}: ${bar.name}`}>
          <b>{bar.service}</b> {bar.name}
        </span>
        {bar.missingParent && <span class="badge warn" title="Its parent is not in the trace">?</span>}
        {bar.repeats > 1 && <span class="badge plain">× {showCount(bar.repeats)}</span>}
        {collapsed && <span class="badge plain">+{showCount(bar.descendants)}</span>}
        {collapsed && bar.errorsBelow > 0 && <span class="badge error">{showCount(bar.errorsBelow)} failed</span>}
        {bar.failed && <span class="badge error">error</span>}
      </div>
      <div class="cell-time">
        <span class="bar" style={{ left: `${left}%`, width: `max(${width}%, 2px)`, background: serviceColor(bar.service) }} title={title(bar, path)} />
        {path?.segments.map((segment) => (
          <span key={segment.from} class={segment.uncertain ? "on-path uncertain" : "on-path"}
            style={{ left: `${percent(segment.from)}%`, width: `max(${((segment.to - segment.from) / length) * 100}%, 1px)` }} />
        ))}
        <span class={left < 15 && left + width > 80 ? "bar-label inside" : "bar-label"} style={labelPlace(left, width)}>
          {showDuration(bar.duration)}
        </span>
      </div>
    </div>
  );
}

/** Behind the bar, before it where there is no room behind, or in it where there is none at either side. */
function labelPlace(left: number, width: number): { left: string } | { right: string } {
  const right = left + width;
  if (right <= 80) return { left: `${Math.max(right, 0) + 0.4}%` };
  return left < 15 ? { right: `${Math.max(100 - right, 0) + 0.6}%` } : { right: `${Math.max(100 - left, 0) + 0.4}%` };
}

function title(bar: Bar, path: OnPath | undefined): string {
  const lines = [`${bar.service}: ${bar.name}`, `${showDuration(bar.duration)}, of its own ${showDuration(bar.self)}`];
  if (path?.segments.length) lines.push(`On the critical path; without it the trace would be ${showDuration(path.saved)} shorter`);
  else if (path) lines.push(`Not waited for: ${showDuration(path.slack)} of slack`);
  if (bar.precedesParent) lines.push("Starts before its parent");
  if (bar.outlivesParent) lines.push("Ends after its parent");
  if (bar.skew) lines.push(`Its clock seems to be ${showDuration(bar.skew)} ahead`);
  return lines.join("\n");
}

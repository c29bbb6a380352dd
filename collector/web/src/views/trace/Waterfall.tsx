// The waterfall: a row for each span, as far as it can be seen; a map of the whole trace above; keys for everything.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { parameter, setParameters } from "../../app/location";
import { colorAmong } from "../../ui/colors";
import { Windowed } from "../../ui/Windowed";
import { choosing, isPanelOpen } from "./choice";
import { closedPlaces, turned } from "./closed";
import { Keys } from "./Keys";
import { useCriticalPath, type LoadedTrace } from "./loading";
import { Minimap } from "./Minimap";
import { barAt, matcher, nextByWeight, nextPlace, placesOf, visible } from "./model";
import { nameOf, placeNamed } from "./named";
import { isOnPath, onPath, timeOnPath } from "./path";
import { SpanPanel } from "./SpanPanel";
import { hint, ROW, rowId, WaterfallRow } from "./WaterfallRow";
import { WaterfallTools } from "./WaterfallTools";
import { axisLabels, readZoom, zoomText, type Zoom } from "./zoom";

interface Props {
  traceId: string;
  trace: LoadedTrace;
  loading: boolean;
  /** Other ways to look at the trace, which share a line with the tools of this one. */
  tabs: ComponentChildren;
  onAgain: () => void;
}

const SCROLLING: readonly string[] = ["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "Home", "End"];

export function Waterfall({ traceId, trace, loading, tabs, onAgain }: Props) {
  const { bars, header, colors } = trace;
  const total = Math.max(Number(header.durationNanos), 1);
  const [help, setHelp] = useState(false);
  const closed = parameter("closed");
  const search = parameter("find");
  const showsPath = parameter("path", "on") === "on";
  const zoom = readZoom(parameter("zoom"), total);
  const rows = useRef<HTMLDivElement>(null);
  const aside = useRef<HTMLElement>(null);
  const searchBox = useRef<HTMLInputElement>(null);
  const [named, focused] = [parameter("span"), parameter("focus")];
  const chosen = useMemo(() => placeNamed(bars, named), [bars, named]);
  const focus = useMemo(() => placeNamed(bars, focused), [bars, focused]);
  const collapsed = useMemo(() => closedPlaces(bars, closed), [bars, closed]);
  const shown = useMemo(() => visible(bars, collapsed, focus), [bars, collapsed, focus]);
  const path = useCriticalPath(traceId, trace, showsPath && !loading);
  const chosenRow = chosen < 0 ? -1 : shown.indexOf(chosen);
  const chosenBar = chosen < 0 ? undefined : barAt(bars, chosen);
  const panel = chosenBar !== undefined && isPanelOpen();
  const isHit = useMemo(() => (search ? matcher(bars, search) : () => false), [bars, search]);
  const hits = useMemo(() => placesOf(bars, isHit).length, [bars, isHit]);
  const pathOf = (index: number) => path && onPath(path, index);

  // That the panel is opened or closed is taken back by going back; to walk from span to span is not.
  const choose = (at: number, withPanel = panel) => {
    if (at >= 0) setParameters(choosing(bars, at, withPanel, collapsed), withPanel === panel);
  };
  const setClosed = (text: string) => setParameters({ closed: text }, true);
  const toggle = (at: number) => setClosed(turned(bars, closed, [at]));
  const setFocus = (at: number) => setParameters({ focus: at < 0 ? null : nameOf(bars, at) }, true);
  const setZoom = (wanted: Zoom | null) => setParameters({ zoom: wanted && zoomText(wanted) }, true);
  const toggleRepeats = () => setClosed(closed === "repeats" ? "" : "repeats");
  const jump = (step: 1 | -1, holds: (at: number) => boolean) => choose(nextPlace(bars.count, chosen, step, holds));
  const hasFailed = (at: number) => bars.failed[at] === 1;
  // What the trace waited for, or as long as that is not known what took time of its own.
  const jumpSlowest = (step: 1 | -1) => choose(nextByWeight(path ? Float64Array.from(bars.index, (index) => timeOnPath(path, index)) : bars.self, chosen, step));
  const closePanel = () => {
    if (aside.current?.contains(document.activeElement)) rows.current?.focus();
    setParameters({ panel: "closed" });
  };

  const onRow = (event: MouseEvent) => {
    const place = placeAt(event.target as Element);
    if (place < 0) return;
    if (bars.children[place] && (event.target as Element).closest(".twisty")) {
      toggle(place);
    } else {
      choose(place, true);
    }
  };
  // Only when it may be read: nobody does while rows pass by.
  const giveHint = ({ target }: MouseEvent) => {
    const place = placeAt(target as Element);
    const row = (target as Element).closest<HTMLElement>("[data-at]");
    if (place >= 0 && row) row.title = hint(barAt(bars, place), pathOf(bars.index[place] as number));
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest("input, textarea, select, dialog")) return;
    // There they scroll.
    if (SCROLLING.includes(event.key) && aside.current?.contains(event.target as Element)) return;
    const bar = chosenBar;
    switch (event.key) {
      case "ArrowDown": case "j": choose(shown[Math.min(chosenRow + 1, shown.length - 1)] ?? -1); break;
      case "ArrowUp": case "k": choose(shown[Math.max(chosenRow - 1, 0)] ?? -1); break;
      case "ArrowRight": case "l": if (bar && collapsed.has(chosen)) toggle(chosen); else if (bar?.children) choose(chosen + 1); break;
      case "ArrowLeft": case "h": if (bar?.children && !collapsed.has(chosen)) toggle(chosen); else if (bar && bar.parent >= 0) choose(bar.parent); break;
      case "Home": choose(shown[0] ?? -1); break;
      case "End": choose(shown[shown.length - 1] ?? -1); break;
      case "Enter":
        if ((event.target as Element).closest("button, a, summary")) return;
        if (panel) aside.current?.focus();
        else choose(chosen, true);
        break;
      case "e": case "E": jump(event.key === "e" ? 1 : -1, hasFailed); break;
      case "s": case "S": jumpSlowest(event.key === "s" ? 1 : -1); break;
      case "c": case "C": if (path) jump(event.key === "c" ? 1 : -1, (at) => isOnPath(path, bars.index[at] as number)); break;
      case "n": case "N": jump(event.key === "n" ? 1 : -1, isHit); break;
      case "f": setFocus(focus >= 0 ? -1 : chosen); break;
      case "z": if (bar) setZoom({ from: bar.offset, to: bar.offset + Math.max(bar.duration, 1) }); break;
      case "Z": setZoom(null); break;
      case "r": toggleRepeats(); break;
      case "/": searchBox.current?.focus(); break;
      case "Escape": if (panel) closePanel(); else setFocus(-1); break;
      case "?": setHelp(true); break;
      default: return;
    }
    event.preventDefault();
  };
  // Before the rows are seen, so that no key is lost.
  useLayoutEffect(() => {
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  });

  return (
    <>
      <div class="row spread">
        {tabs}
        <WaterfallTools box={searchBox} search={search} hits={hits} failed={header.errorCount} showsPath={showsPath} isFocused={focus >= 0}
          onHit={(step) => jump(step, isHit)} onError={() => jump(1, hasFailed)} onSlowest={() => jumpSlowest(1)} onWholeTree={() => setFocus(-1)}
          onCollapse={() => setClosed("all")} onExpand={() => setClosed("")} onRepeats={toggleRepeats} onKeys={() => setHelp(true)} />
      </div>
      {named && chosen < 0 && (
        <p class="note warn" role="status">
          The span <code>{named}</code> is not in this trace: it may still be on its way, or have been dropped.{" "}
          <button type="button" class="button" onClick={onAgain}>Look again</button>
        </p>
      )}
      <Minimap trace={trace} path={path} total={total} zoom={zoom} onZoom={setZoom} />
      <div class={panel ? "waterfall with-panel" : "waterfall"}>
        <div class="waterfall-rows" onClick={onRow} onMouseOver={giveHint}>
          <TimeAxis zoom={zoom} />
          <Windowed element={rows} count={shown.length} rowHeight={ROW} height="var(--rows-height)" reveal={chosenRow} role="tree"
            label="Spans of the trace, each below the one that called it" active={chosenRow < 0 ? undefined : rowId(chosen)}
            row={(at, key) => {
              const place = shown[at] as number;
              const bar = barAt(bars, place);
              return (
                <WaterfallRow key={key} bar={bar} color={colorAmong(colors, bar.service)} zoom={zoom} path={pathOf(bar.index)} chosen={place === chosen}
                  collapsed={collapsed.has(place)} hit={isHit(place)} indent={focus < 0 ? 0 : (bars.depth[focus] as number)} />
              );
            }} />
        </div>
        {panel && (
          <SpanPanel element={aside} traceId={traceId} trace={trace} bar={chosenBar} path={pathOf(chosenBar.index)} onClose={closePanel} />
        )}
      </div>
      {help && <Keys onClose={() => setHelp(false)} />}
    </>
  );
}

/** The place of the bar in whose row an element is; -1 for none. */
function placeAt(element: Element): number {
  return Number(element.closest<HTMLElement>("[data-at]")?.dataset["at"] ?? -1);
}

function TimeAxis({ zoom }: { zoom: Zoom }) {
  const labels = axisLabels(zoom);
  const end = labels.pop();
  return (
    <div class="waterfall-row axis" aria-hidden="true">
      <div class="cell-name soft">Service and operation</div>
      <div class="cell-time ticks">
        {labels.map((label, at) => <span key={at} class="tick"><span>{label}</span>{at === labels.length - 1 && <span>{end}</span>}</span>)}
      </div>
    </div>
  );
}

// The graph as a picture: scroll or drag to move it, Ctrl and the wheel to change its size, click on a part to keep its numbers.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { parameter, parameters, setParameters } from "../../app/location";
import { urlOf, type Query } from "../../api/client";
import { nextPlace } from "../../ui/arrows";
import { SvgLink } from "../../ui/SvgLink";
import { Facts } from "./Facts";
import { BOX_HEIGHT, layoutOf } from "./layout";
import type { Edge, Graph } from "./model";
import { Box, Line, told } from "./parts";
import { useZoom } from "./useZoom";

const ZOOM_STEP = 1.25;
/** Per pixel of a wheel, or of two fingers that part. */
const WHEEL_STEP = 1.004;

export function Picture({ graph, isCompared }: { graph: Graph; isCompared: boolean }) {
  // Places follow from names, so numbers that change leave them alone.
  const names = [...graph.nodes, ...graph.edges].map((part) => part.id).join("\n");
  const layout = useMemo(() => layoutOf(graph), [names]);
  const scroller = useRef<HTMLDivElement>(null);
  const nodes = useRef<SVGGElement>(null);
  const [over, setOver] = useState("");
  const [at, setAt] = useState("");
  const chosen = parameter("part");
  const { zoom, fit, by, reset } = useZoom(scroller, layout);
  // What one looks around, or has chosen, is in sight, and where one has seen it already it stays.
  useEffect(() => {
    const box = layout.boxes.get(chosen) ?? layout.boxes.get(`service:${parameter("service")}`);
    const node = scroller.current;
    if (!box || !node) return;
    const [x, y] = [box.x * zoom - node.scrollLeft, box.y * zoom - node.scrollTop];
    if (x < 0 || y < 0 || x > node.clientWidth || y > node.clientHeight) node.scrollTo(box.x * zoom - node.clientWidth / 2, box.y * zoom - node.clientHeight / 2);
  }, [layout, fit, chosen]);
  const shown = over || chosen;
  const near = useMemo(() => nearOf(graph, shown), [graph, shown]);
  const dim = (id: string): string => (near && !near.has(id) ? "dim" : "");
  const busiest = Math.max(...graph.edges.map((edge) => edge.now?.perSecond ?? 0), 1e-9);
  const linkOf = (id: string): string => partLink(id === chosen ? null : id);
  const ids = graph.nodes.map((node) => node.id);
  const focused = Math.max(ids.indexOf(at), 0);
  const onKeyDown = (event: KeyboardEvent): void => {
    const places = ids.map((id) => layout.boxes.get(id)).map((box) => [box?.x ?? 0, -(box?.y ?? 0)] as const);
    const next = nextPlace(places, focused, event.key);
    if (next === undefined) return;
    event.preventDefault();
    nodes.current?.querySelectorAll<SVGAElement>("a")[next]?.focus();
  };
  return (
    <div class="topology">
      <div class="topology-graph">
        <div
          ref={scroller} class="topology-scroller" tabIndex={0} role="group" aria-label="The graph; plus, minus and 0 change its size, arrow keys move it. The table below has the same."
          onKeyDown={(event) => {
            if (event.ctrlKey || event.metaKey) return;
            if (event.key === "+" || event.key === "=") by(ZOOM_STEP);
            else if (event.key === "-") by(1 / ZOOM_STEP);
            else if (event.key === "0") reset();
            else if (event.key === "Escape" && chosen) setParameters({ part: null }, true);
          }}
          onMouseLeave={() => setOver("")} onMouseDown={drag}
          onWheel={(event) => {
            if (!event.ctrlKey && !event.metaKey) return;
            event.preventDefault();
            const edge = event.currentTarget.getBoundingClientRect();
            by(WHEEL_STEP ** -event.deltaY, { x: event.clientX - edge.left, y: event.clientY - edge.top });
          }}
        >
          <svg width={layout.width * zoom} height={layout.height * zoom} viewBox={`0 0 ${layout.width} ${layout.height}`} role="group" aria-label="Services and calls; arrow keys lead from service to service">
            {graph.edges.map((edge) => {
              const points = layout.lines.get(edge.id);
              return points && (
                <SvgLink key={edge.id} href={linkOf(edge.id)} label={told(edge)} tabIndex={-1} class={dim(edge.id)} onNear={() => setOver(edge.id)}>
                  <Line edge={edge} points={points} share={(edge.now?.perSecond ?? 0) / busiest} isCompared={isCompared} />
                </SvgLink>
              );
            })}
            <g ref={nodes} onKeyDown={onKeyDown}>
              {graph.nodes.map((node, index) => {
                const box = layout.boxes.get(node.id);
                return box && (
                  <SvgLink
                    key={node.id} href={linkOf(node.id)} label={told(node)} tabIndex={index === focused ? 0 : -1} class={`${dim(node.id)} ${node.id === chosen ? "chosen" : ""}`}
                    onNear={() => { setAt(node.id); setOver(node.id); }}
                  >
                    <Box node={node} box={box} height={BOX_HEIGHT} isCompared={isCompared} own={callsItself(graph.edges, node.id)} />
                  </SvgLink>
                );
              })}
            </g>
          </svg>
        </div>
        <div class="row topology-zoom" role="group" aria-label="Size">
          <button type="button" class="button" aria-label="Smaller" onClick={() => by(1 / ZOOM_STEP)}>−</button>
          <button type="button" class="button" aria-label="Larger" onClick={() => by(ZOOM_STEP)}>+</button>
          <button type="button" class="button" aria-pressed={!parameters.value.has("zoom")} onClick={() => reset()}>Fit</button>
        </div>
      </div>
      <Facts graph={graph} id={shown} isKept={shown !== "" && shown === chosen} isCompared={isCompared} />
    </div>
  );
}

/** Where the URL keeps what is looked at. */
function partLink(id: string | null): string {
  const query: Query = Object.fromEntries(parameters.value);
  return urlOf(window.location.pathname, { ...query, part: id });
}

/** A part and those next to it; null where nothing is looked at. */
function nearOf(graph: Graph, id: string): Set<string> | null {
  if (!id || ![...graph.nodes, ...graph.edges].some((part) => part.id === id)) return null;
  const near = new Set([id]);
  for (const edge of graph.edges) {
    if (edge.id === id || edge.from === id || edge.to === id) near.add(edge.id).add(edge.from).add(edge.to);
  }
  return near;
}

function callsItself(edges: readonly Edge[], id: string): boolean {
  return edges.some((edge) => edge.from === id && edge.to === id);
}

const DRAGGED = 4;

/** Moves what is scrolled with the mouse, from where it is pressed. */
function drag(event: MouseEvent): void {
  const scroller = event.currentTarget as HTMLDivElement;
  const [left, top] = [scroller.scrollLeft + event.clientX, scroller.scrollTop + event.clientY];
  if (event.button !== 0) return;
  // A link that is pressed would be dragged as such.
  event.preventDefault();
  scroller.focus({ preventScroll: true });
  const move = (moved: MouseEvent): void => scroller.scrollTo(left - moved.clientX, top - moved.clientY);
  const end = (ended: MouseEvent): void => {
    document.removeEventListener("mousemove", move);
    document.removeEventListener("mouseup", end);
    if (Math.hypot(ended.clientX - event.clientX, ended.clientY - event.clientY) <= DRAGGED) return;
    // The click that ends a drag follows at once, if there is one, and is meant for nothing.
    const ignore = (click: MouseEvent): void => { click.preventDefault(); click.stopPropagation(); };
    scroller.addEventListener("click", ignore, { capture: true });
    setTimeout(() => scroller.removeEventListener("click", ignore, { capture: true }));
  };
  document.addEventListener("mousemove", move);
  document.addEventListener("mouseup", end);
}

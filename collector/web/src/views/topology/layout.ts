// Where nodes and edges of a graph stand: in layers, from callers to those that are called.
import { Graph as Layered, layout } from "@dagrejs/dagre";
import type { Graph } from "./model";

export interface Box {
  /** The centre. */
  x: number;
  y: number;
  width: number;
}

interface Layout {
  width: number;
  height: number;
  boxes: Map<string, Box>;
  /** Points of edges, from the client's box to the server's. */
  lines: Map<string, readonly Point[]>;
}

interface Point {
  x: number;
  y: number;
}

export const BOX_HEIGHT = 42;
const CHARACTER = 8;
const PADDING = 30;
const [NARROWEST, WIDEST] = [150, 220];
export const MOST_CHARACTERS = Math.floor((WIDEST - PADDING) / CHARACTER);

/** Places that depend on the names of nodes and edges alone, so that the same graph always looks the same. */
export function layoutOf({ nodes, edges }: Pick<Graph, "nodes" | "edges">): Layout {
  const layered = new Layered({ multigraph: true });
  layered.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 70, edgesep: 10, marginx: 12, marginy: 12 });
  layered.setDefaultEdgeLabel(() => ({}));
  for (const { id, name } of nodes) {
    layered.setNode(id, { width: Math.min(Math.max(name.length * CHARACTER + PADDING, NARROWEST), WIDEST), height: BOX_HEIGHT });
  }
  // What calls itself has a sign at its box instead of a line.
  for (const { id, from, to } of edges) if (from !== to) layered.setEdge(from, to, {}, id);
  layout(layered);
  const whole = layered.graph() as { width?: number; height?: number };
  const boxes = new Map<string, Box>();
  for (const id of layered.nodes()) {
    const { x, y, width } = layered.node(id) as Box;
    boxes.set(id, { x, y, width });
  }
  const lines = new Map<string, readonly Point[]>();
  for (const edge of layered.edges()) lines.set(edge.name ?? "", (layered.edge(edge) as { points: Point[] }).points);
  return { width: Math.max(whole.width ?? 0, 1), height: Math.max(whole.height ?? 0, 1), boxes, lines };
}

/** A smooth line through points, as an SVG path. */
export function curveOf(points: readonly Point[]): string {
  const [first, ...others] = points;
  const last = others.at(-1);
  if (!first || !last) return "";
  let path = `M${show(first)}`;
  for (let at = 0; at < others.length - 1; at++) {
    const [control, next] = [others[at] as Point, others[at + 1] as Point];
    const end = at === others.length - 2 ? next : { x: (control.x + next.x) / 2, y: (control.y + next.y) / 2 };
    path += `Q${show(control)} ${show(end)}`;
  }
  return others.length === 1 ? `${path}L${show(last)}` : path;
}

/** The head of an arrow at the end of a line. */
export function arrowOf(points: readonly Point[], size: number): string {
  const [tip, from] = [points.at(-1), points.at(-2)];
  if (!tip || !from) return "";
  const angle = Math.atan2(tip.y - from.y, tip.x - from.x);
  const corner = (turn: number): Point => ({ x: tip.x - size * Math.cos(angle + turn), y: tip.y - size * Math.sin(angle + turn) });
  return `M${show(tip)}L${show(corner(0.45))}L${show(corner(-0.45))}Z`;
}

function show({ x, y }: Point): string {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

import { expect, test } from "vitest";
import { arrowOf, curveOf, layoutOf } from "./layout";
import { badness, graphOf, withFormer } from "./model";

const NODE = { calls: 1, failedCalls: 0, callsPerSecond: 2, errorRate: 0, durations: null };
const TOPOLOGY = {
  startUnixNano: "0", endUnixNano: "1", complete: true,
  nodes: [{ name: "web", kind: "service" as const, ...NODE }, { name: "cart", kind: "service" as const, ...NODE }, { name: "redis", kind: "database" as const, ...NODE }],
  edges: [["web", "cart"], ["cart", "redis"]].map(([client = "", server = ""]) => ({
    client: { name: client, kind: "service" as const }, server: { name: server, kind: server === "redis" ? "database" as const : "service" as const },
    connectionType: "" as const, calls: 1, failedCalls: 0, callsPerSecond: 1, errorRate: 0.2, clientDurations: null,
    serverDurations: { meanNanos: 1, p50Nanos: 1, p95Nanos: 2, p99Nanos: 3 },
  })),
};

test("callers stand left of those that they call, wherever they are in the answer", () => {
  const graph = graphOf(TOPOLOGY);
  const { boxes, lines, width } = layoutOf(graph);
  const xs = ["service:web", "service:cart", "database:redis"].map((id) => boxes.get(id)?.x ?? Number.NaN);
  expect(xs).toEqual([...xs].sort((a, b) => a - b));
  expect(width).toBeGreaterThan(300);
  expect(lines.size).toBe(2);
  const turned = { ...TOPOLOGY, nodes: [...TOPOLOGY.nodes].reverse(), edges: [...TOPOLOGY.edges].reverse() };
  expect(layoutOf(graphOf(turned))).toEqual(layoutOf(graph));
});

test("what falls silent keeps its place", () => {
  const graph = graphOf(TOPOLOGY);
  const later = withFormer(graphOf({ ...TOPOLOGY, nodes: TOPOLOGY.nodes.slice(0, 2), edges: TOPOLOGY.edges.slice(0, 1) }), graph);
  expect(layoutOf(later)).toEqual(layoutOf(graph));
  expect(later.nodes.map((node) => node.now === null)).toEqual([true, false, false]);
});

test("two ranges are told apart", () => {
  const graph = graphOf({
    startUnixNano: "1", endUnixNano: "2", otherStartUnixNano: "0", otherEndUnixNano: "1", complete: true, edges: [],
    nodes: [{ name: "new", kind: "service", state: "added", current: NODE, other: null, change: null }],
  });
  expect(graph.nodes[0]).toMatchObject({ state: "added", now: { perSecond: 2, p95: null }, before: null });
});

test("failed calls are bad by their share", () => {
  const calls = (errorRate: number) => ({ perSecond: 1, errorRate, p50: 1, p95: 1 });
  expect([null, calls(0), calls(0.01), calls(0.05)].map(badness)).toEqual(["none", "good", "warn", "error"]);
});

test("lines are smooth and have heads", () => {
  expect(curveOf([{ x: 0, y: 0 }, { x: 1, y: 1 }])).toBe("M0.0 0.0L1.0 1.0");
  expect(curveOf([{ x: 0, y: 0 }, { x: 2, y: 0 }, { x: 4, y: 4 }])).toBe("M0.0 0.0Q2.0 0.0 4.0 4.0");
  expect(arrowOf([{ x: 0, y: 0 }, { x: 10, y: 0 }], 4)).toMatch(/^M10\.0 0\.0L/);
});

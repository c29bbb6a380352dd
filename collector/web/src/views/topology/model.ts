// Services and the calls between them, of one time range or of two that are compared.
import type { Schemas } from "../../api/client";

type Topology = Schemas["Topology"];
type Difference = Schemas["TopologyDifference"];
type NodeIdentity = Schemas["TopologyEdge"]["client"];
export type State = Difference["nodes"][number]["state"];

/** What is known of the calls to a node, or along an edge. */
export interface Calls {
  perSecond: number;
  errorRate: number;
  /** Nanoseconds; null where neither side has spans. */
  p50: number | null;
  p95: number | null;
}

export interface Node {
  id: string;
  name: string;
  kind: NodeIdentity["kind"];
  state: State;
  now: Calls | null;
  before: Calls | null;
}

export interface Edge {
  id: string;
  /** Ids of nodes. */
  from: string;
  to: string;
  client: string;
  server: string;
  connection: string;
  state: State;
  now: Calls | null;
  before: Calls | null;
}

export interface Graph {
  nodes: Node[];
  edges: Edge[];
}

type Facts = Pick<Topology["edges"][number], "callsPerSecond" | "errorRate"> & {
  durations?: Topology["nodes"][number]["durations"];
  clientDurations?: Topology["nodes"][number]["durations"];
  serverDurations?: Topology["nodes"][number]["durations"];
};

/** A graph of either answer, in an order that depends on names alone. */
export function graphOf(answer: Topology | Difference): Graph {
  const nodes = answer.nodes.map((node): Node => ({ id: idOf(node), name: node.name, kind: node.kind, ...sidesOf(node) }));
  const edges = answer.edges.map((edge): Edge => ({
    id: `${idOf(edge.client)} > ${idOf(edge.server)} ${edge.connectionType}`,
    from: idOf(edge.client),
    to: idOf(edge.server),
    client: edge.client.name,
    server: edge.server.name,
    connection: edge.connectionType,
    ...sidesOf(edge),
  }));
  return { nodes: nodes.sort(byId), edges: edges.sort(byId) };
}

function sidesOf(part: Facts | { state: State; current: Facts | null; other: Facts | null }): Pick<Node, "state" | "now" | "before"> {
  if ("state" in part) return { state: part.state, now: callsOf(part.current), before: callsOf(part.other) };
  return { state: "kept", now: callsOf(part), before: null };
}

function callsOf(facts: Facts | null): Calls | null {
  if (!facts) return null;
  const durations = facts.durations ?? facts.serverDurations ?? facts.clientDurations;
  return {
    perSecond: Number(facts.callsPerSecond),
    errorRate: Number(facts.errorRate),
    p50: durations ? Number(durations.p50Nanos) : null,
    p95: durations ? Number(durations.p95Nanos) : null,
  };
}

function idOf(node: NodeIdentity): string {
  return `${node.kind}:${node.name}`;
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** A graph with all that was in it before, so that nothing moves when a service falls silent; what is not there now has no calls. */
export function withFormer(graph: Graph, former: Graph): Graph {
  const nodes = new Set(graph.nodes.map((node) => node.id));
  const edges = new Set(graph.edges.map((edge) => edge.id));
  return {
    nodes: [...graph.nodes, ...former.nodes.filter((node) => !nodes.has(node.id)).map((node) => ({ ...node, now: null, before: null }))].sort(byId),
    edges: [...graph.edges, ...former.edges.filter((edge) => !edges.has(edge.id)).map((edge) => ({ ...edge, now: null, before: null }))].sort(byId),
  };
}

const FAILING = 0.05;

/** How bad a share of failed calls is; the bounds are those of the health of services. */
export function badness(calls: Calls | null): "none" | "good" | "warn" | "error" {
  if (!calls) return "none";
  return calls.errorRate >= FAILING ? "error" : calls.errorRate > 0 ? "warn" : "good";
}

import type { Edge, Graph, Node } from "./model";

/** What came and what went, in words. */
export function Differences({ graph, period }: { graph: Graph; period: string }) {
  const isSame = [...graph.nodes, ...graph.edges].every((part) => part.state === "kept");
  if (isSame) return <p class="note" role="status">The same services call each other as {period}. How rates and durations changed stands in the table.</p>;
  return (
    <div class="note" role="status">
      <strong>Compared with {period}</strong>
      <Listed what="New services" parts={graph.nodes} state="added" />
      <Listed what="New calls" parts={graph.edges} state="added" />
      <Listed what="Services that are gone" parts={graph.nodes} state="removed" />
      <Listed what="Calls that are gone" parts={graph.edges} state="removed" />
    </div>
  );
}

const SHOWN = 8;

function Listed({ what, parts, state }: { what: string; parts: readonly (Node | Edge)[]; state: "added" | "removed" }) {
  const names = parts.filter((part) => part.state === state).map((part) => ("from" in part ? `${part.client} → ${part.server}` : part.name));
  if (!names.length) return null;
  return <div>{what}: {names.slice(0, SHOWN).join(", ")}{names.length > SHOWN ? ` and ${names.length - SHOWN} others` : ""}</div>;
}

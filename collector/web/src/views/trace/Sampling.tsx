// What tail sampling has decided of a trace, and by which of its policies.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { currentWorkspace } from "../../app/workspace";
import { showShare } from "../../ui/format";

type Decided = Schemas["SamplingDecisions"]["exporters"][number];

/** The latest decision of each exporter that samples; nothing where none has heard of the trace. */
export function Sampling({ traceId }: { traceId: string }) {
  const { data } = useAnswer<Schemas["SamplingDecisions"]>(`/api/v1/sampling/decisions/${encodeURIComponent(traceId)}`, { workspace: currentWorkspace() });
  const told = data?.exporters.filter(({ state }) => state !== "unknown") ?? [];
  return <>{told.map((each) => <p key={each.exporter} class="note">Exporter <code>{each.exporter}</code>: {inWords(each)}</p>)}</>;
}

function inWords({ state, decisions: [latest] }: Decided): string {
  if (state === "pending" || !latest) return "sampling has not decided yet whether the trace is kept.";
  const share = latest.probability === null ? "" : `, which keeps ${showShare(latest.probability)} of such traces`;
  return `sampling has ${state} the trace by ${latest.decidedBy}${share}.`;
}

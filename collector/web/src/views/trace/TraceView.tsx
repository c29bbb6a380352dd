// One trace: waterfall, flame graph, tables; a panel for the span that is chosen.
import { decoded, go, parameter, path, setParameters } from "../../app/location";
import { useTitle } from "../../app/title";
import { currentWorkspace } from "../../app/workspace";
import { showCount } from "../../ui/format";
import { Empty, ErrorNote, Incomplete, Loading } from "../../ui/notes";
import { Flame } from "./Flame";
import { useTrace } from "./loading";
import { linkToNamed } from "./linkToNamed";
import { Sampling } from "./Sampling";
import { SpanTable } from "./SpanTable";
import { Statistics } from "./Statistics";
import "./trace.css";
import { TraceHead } from "./TraceHead";
import { Waterfall } from "./Waterfall";

const TABS = [
  ["waterfall", "Waterfall"],
  ["flame", "Flame graph"],
  ["spans", "Spans"],
  ["statistics", "Statistics"],
] as const;

export default function TraceView() {
  const traceId = decoded(path.value.split("/")[2] ?? "");
  return traceId ? <Trace key={`${currentWorkspace()} ${traceId}`} traceId={traceId} /> : <FindById />;
}

function Trace({ traceId }: { traceId: string }) {
  const { trace, error, loading, again } = useTrace(traceId);
  useTitle(trace ? trace.header.rootName || "trace" : "");
  if (error?.status === 404) {
    return (
      <Empty title="There is no such trace">
        <p>
          Nothing with the id <code>{traceId}</code> is stored in this workspace. It may still be on its way, have been dropped by
          sampling, or be older than spans are kept. <button type="button" class="button" onClick={again}>Look again</button>
        </p>
        <Sampling traceId={traceId} />
        <FindById />
      </Empty>
    );
  }
  if (error) {
    return (
      <div class="stack">
        <ErrorNote error={error} onRetry={again} />
        <FindById />
      </div>
    );
  }
  if (!trace) return <Loading what="the trace" />;
  const tab = parameter("tab", "waterfall");
  const tabs = (
    <div class="row ways" role="tablist" aria-label="Ways to look at the trace">
      {TABS.map(([name, label]) => (
        <button key={name} type="button" role="tab" class="button" aria-selected={tab === name}
          onClick={() => setParameters({ tab: name === "waterfall" ? null : name })}>
          {label}
        </button>
      ))}
    </div>
  );
  const head = (
    <>
      <TraceHead traceId={traceId} trace={trace} />
      {!trace.header.complete && <Incomplete reason={`of ${showCount(trace.header.spanCount)} spans only the earliest are read.`} />}
    </>
  );
  if (tab !== "flame" && tab !== "spans" && tab !== "statistics") {
    return <div class="trace fills">{head}<Waterfall traceId={traceId} trace={trace} loading={loading} tabs={tabs} onAgain={again} /></div>;
  }
  return (
    <div class="trace">
      {head}
      {tabs}
      {tab === "flame" ? <Flame trace={trace} /> : tab === "spans" ? <SpanTable trace={trace} /> : <Statistics traceId={traceId} trace={trace} />}
    </div>
  );
}

function FindById() {
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        const text = new FormData(event.currentTarget).get("id");
        const link = typeof text === "string" ? linkToNamed(text) : undefined;
        if (link) go(link);
      }}
    >
      <label class="row">
        Trace id <input name="id" size={34} required pattern="[0-9A-Fa-f\-]{16,55}" title="A trace id, or the header traceparent" />
      </label>
      <button type="submit" class="button primary">
        Show
      </button>
    </form>
  );
}

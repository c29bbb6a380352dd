// One trace: waterfall, flame graph, tables; a panel for the span that is chosen.
import { go, linkTo, parameter, path, setParameters } from "../../app/location";
import { useTitle } from "../../app/title";
import { currentWorkspace } from "../../app/workspace";
import { showTime } from "../../time/range";
import { showCount, showDuration } from "../../ui/format";
import { Empty, ErrorNote, Incomplete, Loading } from "../../ui/notes";
import { serviceColor } from "../../ui/colors";
import { CopyButton } from "../../ui/CopyButton";
import { download } from "../../ui/download";
import { Flame } from "./Flame";
import { adjusters, useTrace, type LoadedTrace } from "./loading";
import { linkToNamed } from "./linkToNamed";
import { Sampling } from "./Sampling";
import { SelfTimes } from "./SelfTimes";
import { SpanTable } from "./SpanTable";
import "./trace.css";
import { Warnings } from "./Warnings";
import { Waterfall } from "./Waterfall";

const TABS = [
  ["waterfall", "Waterfall"],
  ["flame", "Flame graph"],
  ["spans", "Spans"],
  ["times", "Self times"],
] as const;

export default function TraceView() {
  const traceId = decodeURIComponent(path.value.split("/")[2] ?? "");
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
          sampling, or be older than spans are kept.
        </p>
        <Sampling traceId={traceId} />
        <FindById />
      </Empty>
    );
  }
  if (error) return <ErrorNote error={error} onRetry={again} />;
  if (!trace) return <Loading what="the trace" />;
  const tab = parameter("tab", "waterfall");
  return (
    <div class="stack">
      <TraceHead traceId={traceId} trace={trace} />
      {!trace.header.complete && <Incomplete reason={`of ${showCount(trace.header.spanCount)} spans only the earliest are read.`} />}
      <Warnings header={trace.header} />
      <div class="row" role="tablist" aria-label="Ways to look at the trace">
        {TABS.map(([name, label]) => (
          <button key={name} type="button" role="tab" class="button" aria-selected={tab === name}
            onClick={() => setParameters({ tab: name === "waterfall" ? null : name })}>
            {label}
          </button>
        ))}
      </div>
      {tab === "flame" ? <Flame trace={trace} />
        : tab === "spans" ? <SpanTable trace={trace} />
        : tab === "times" ? <SelfTimes traceId={traceId} />
        : <Waterfall traceId={traceId} trace={trace} loading={loading} />}
    </div>
  );
}

function TraceHead({ traceId, trace }: { traceId: string; trace: LoadedTrace }) {
  const { header } = trace;
  const adjust = adjusters();
  const services = Object.entries(header.spansByService).sort((one, other) => other[1] - one[1]);
  const toggle = (name: string) => setParameters({ adjust: (adjust.includes(name) ? adjust.filter((each) => each !== name) : [...adjust, name]).join(",") });
  return (
    <header class="stack">
      <div class="row spread">
        <h1>
          {header.rootService}: {header.rootName || "(no root yet)"} <span class="soft">{showDuration(header.durationNanos)}</span>
        </h1>
        <div class="row">
          <button type="button" class="button" aria-pressed={adjust.includes("clock-skew")} onClick={() => toggle("clock-skew")}
            title="Show times by the clock of the root's host">
            Adjust clocks
          </button>
          <button type="button" class="button" onClick={() => go(linkTo("/compare", { left: traceId }))}>
            Compare
          </button>
          <button type="button" class="button" onClick={() => void download(`${traceId}.json`, `/api/v1/traces/${traceId}`, {}, currentWorkspace())}>
            JSON
          </button>
        </div>
      </div>
      <dl class="facts inline-facts">
        <div><dt>Started</dt><dd>{showTime(BigInt(header.startTimeUnixNano))}</dd></div>
        <div><dt>Spans</dt><dd>{showCount(header.spanCount)}</dd></div>
        <div><dt>Errors</dt><dd class={header.errorCount ? "error-text" : ""}>{showCount(header.errorCount)}</dd></div>
        <div><dt>Depth</dt><dd>{header.depth}</dd></div>
        <div><dt>Trace id</dt><dd><code>{traceId}</code> <CopyButton text={traceId} what="trace id" /></dd></div>
      </dl>
      <div class="row services" tabIndex={0} role="group" aria-label="Services of the trace">
        {services.map(([service, spans]) => (
          <span key={service} class="row legend">
            <span class="dot" style={{ background: serviceColor(service) }} /> {service || "(no name)"}{" "}
            <span class="soft">{showCount(spans)}</span>
          </span>
        ))}
      </div>
    </header>
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

// What is to be known of a trace before its spans, in as few lines as that takes: those who come here want to see the spans.
import { go, linkTo, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { showTime } from "../../time/range";
import { colorAmong } from "../../ui/colors";
import { CopyButton } from "../../ui/CopyButton";
import { download } from "../../ui/download";
import { showCount, showDuration, showName } from "../../ui/format";
import { adjusters, pathOf, type LoadedTrace } from "./loading";
import { Warnings } from "./Warnings";

/** No window is wide enough for more; the statistics have all of them. */
const NAMED = 20;

export function TraceHead({ traceId, trace }: { traceId: string; trace: LoadedTrace }) {
  const { header } = trace;
  const adjust = adjusters();
  const toggle = (name: string) => setParameters({ adjust: (adjust.includes(name) ? adjust.filter((each) => each !== name) : [...adjust, name]).join(",") });
  return (
    <header class="trace-head">
      <div class="row spread">
        <h1>
          <span><bdi>{showName(header.rootService)}</bdi>: <bdi>{showName(header.rootName)}</bdi></span> <span class="soft">{showDuration(header.durationNanos)}</span>
        </h1>
        <div class="row">
          <span><code>{traceId}</code> <CopyButton text={traceId} what="trace id" /></span>
          <button type="button" class="button" aria-pressed={adjust.includes("clock-skew")} onClick={() => toggle("clock-skew")}
            title="Show times by the clock of the root's host">
            Adjust clocks
          </button>
          <button type="button" class="button" onClick={() => go(linkTo("/compare", { left: traceId }))}>
            Compare
          </button>
          <button type="button" class="button" onClick={() => void download(`${traceId}.json`, pathOf(traceId), {}, currentWorkspace())}>
            JSON
          </button>
        </div>
      </div>
      <div class="row trace-facts">
        <dl class="facts inline-facts">
          <div><dt>Started</dt><dd>{showTime(BigInt(header.startTimeUnixNano))}</dd></div>
          <div><dt>Spans</dt><dd>{showCount(header.spanCount)}</dd></div>
          <div><dt>Errors</dt><dd class={header.errorCount ? "error-text" : ""}>{showCount(header.errorCount)}</dd></div>
          <div><dt>Depth</dt><dd>{header.depth}</dd></div>
        </dl>
        <Warnings trace={trace} />
        <Services traceId={traceId} trace={trace} />
      </div>
    </header>
  );
}

/** The services that fit into a line, those with the most spans first. */
function Services({ traceId, trace: { header, colors } }: { traceId: string; trace: LoadedTrace }) {
  const services = Object.entries(header.spansByService).sort((one, other) => other[1] - one[1]);
  return (
    <div class="row legend" role="group" aria-label="Services of the trace">
      <a href={linkTo(`/trace/${traceId}`, { tab: "statistics", by: "service" })}>
        {showCount(services.length)} {services.length === 1 ? "service" : "services"}
      </a>
      {services.slice(0, NAMED).map(([service, spans]) => (
        <button key={service} type="button" class="button plain ellipsis" title={`Find spans of ${service}`}
          onClick={() => setParameters({ find: service, tab: null })}>
          <span class="dot" style={{ background: colorAmong(colors, service) }} /> <bdi>{showName(service)}</bdi>{" "}
          <span class="soft">{showCount(spans)}</span>
        </button>
      ))}
    </div>
  );
}

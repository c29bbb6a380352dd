// All that is known of one span.
import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { showTime } from "../../time/range";
import { CopyButton } from "../../ui/CopyButton";
import { serviceColor } from "../../ui/colors";
import { showDuration } from "../../ui/format";
import { ErrorNote, Loading } from "../../ui/notes";
import { Annotations } from "./Annotations";
import { Attributes } from "./attributes";
import type { Bar } from "./model";
import type { OnPath } from "./path";

type Details = Schemas["SpanDetails"];
type Span = Details["spans"][number];

export function SpanPanel({ traceId, bar, path, onClose }: { traceId: string; bar: Bar; path: OnPath | undefined; onClose: () => void }) {
  const url = `/api/v1/traces/${traceId}/spans/${bar.spanId}`;
  const { data, error, again } = useAnswer<Details>(url, { workspace: currentWorkspace() });
  // Client and server may share an id.
  const span = data?.spans.find((each) => each.service === bar.service && each.name === bar.name && each.kind === bar.kind) ?? data?.spans[0];
  return (
    <aside class="span-panel" aria-label={`Span ${bar.name}`}>
      <div class="panel-head">
        <h2><span class="dot" style={{ background: serviceColor(bar.service) }} /> {bar.service}: {bar.name}</h2>
        <button type="button" class="button plain" aria-label="Close" onClick={onClose}>×</button>
      </div>
      {error && <ErrorNote error={error} onRetry={again} />}
      {!data && !error && <Loading what="the span" />}
      {data && span && <SpanDetails traceId={traceId} details={data} span={span} bar={bar} path={path} />}
    </aside>
  );
}

function SpanDetails({ traceId, details, span, bar, path }: { traceId: string; details: Details; span: Span; bar: Bar; path: OnPath | undefined }) {
  const start = BigInt(span.startTimeUnixNano);
  const scope = details.scopes[span.scope];
  const copied = JSON.stringify({ traceId, ...span, resource: details.resources[span.resource], scope }, null, 2);
  return (
    <>
      <dl class="facts inline-facts">
        <div><dt>Status</dt><dd class={bar.failed ? "error-text" : ""}>{span.status} {span.statusMessage}</dd></div>
        <div><dt>Kind</dt><dd>{span.kind}</dd></div>
        <div><dt>Start</dt><dd>{showTime(start)} <span class="soft">(+{showDuration(bar.offset)})</span></dd></div>
        <div><dt>Duration</dt><dd>{showDuration(bar.duration)}</dd></div>
        <div><dt>Self time</dt><dd>{showDuration(bar.self)}</dd></div>
        <div><dt>Span id</dt><dd><code>{span.spanId}</code> <CopyButton text={span.spanId} what="span id" /></dd></div>
        {span.parentSpanId && <div><dt>Parent</dt><dd><a href={linkTo(`/trace/${traceId}`, { span: span.parentSpanId })}><code>{span.parentSpanId}</code></a></dd></div>}
        {span.traceState && <div><dt>Trace state</dt><dd><code>{span.traceState}</code></dd></div>}
      </dl>
      {path && (
        <p class="note">
          {path.segments.length
            ? <>On the critical path. If it took no time, the trace would end {showDuration(path.saved)} sooner.</>
            : <>Not on the critical path: it could have taken {showDuration(path.slack)} longer.</>}
        </p>
      )}
      <div class="row">
        <CopyButton text={copied} what="the span as JSON" label="Copy as JSON" />
        <a class="button plain" href={linkTo("/search", { q: `service = ${JSON.stringify(span.service)} and name = ${JSON.stringify(span.name)}` })}>
          Find more of these
        </a>
      </div>
      <h3>Attributes</h3>
      <Attributes attributes={span.attributes} level="span" />
      <Dropped count={span.droppedAttributesCount} what="attributes" />
      <Events span={span} />
      <Links span={span} />
      <IncomingLinks traceId={traceId} spanId={span.spanId} />
      <Annotations traceId={traceId} spanId={span.spanId} />
      <h3>Resource</h3>
      <Attributes attributes={details.resources[span.resource]?.attributes ?? []} level="resource" />
      {scope && (
        <>
          <h3>Scope</h3>
          <p>{scope.name || "(no name)"} <span class="soft">{scope.version}</span></p>
          {scope.attributes.length > 0 && <Attributes attributes={scope.attributes} level="scope" />}
        </>
      )}
    </>
  );
}

function Events({ span }: { span: Span }) {
  const start = BigInt(span.startTimeUnixNano);
  const length = Math.max(Number(span.durationNanos), 1);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  if (!span.events.length && !span.droppedEventsCount) return null;
  const place = (time: string): number => Math.min(Math.max(Number(BigInt(time) - start) / length, 0), 1) * 100;
  return (
    <>
      <h3>Events ({span.events.length})</h3>
      <div class="event-axis" aria-hidden="true">
        {span.events.map((event, at) => <span key={at} style={{ left: `${place(event.timeUnixNano)}%` }} />)}
      </div>
      {span.events.map((event, at) => (
        <details key={at} open={open.has(at)} onToggle={(toggled) => {
          const after = new Set(open);
          if (toggled.currentTarget.open) after.add(at);
          else after.delete(at);
          setOpen(after);
        }}>
          <summary>{event.name || "(no name)"} <span class="soft">+{showDuration(Number(BigInt(event.timeUnixNano) - start))}</span></summary>
          <Attributes attributes={event.attributes} level="event" />
          <Dropped count={event.droppedAttributesCount} what="attributes" />
        </details>
      ))}
      <Dropped count={span.droppedEventsCount} what="events" />
    </>
  );
}

function Links({ span }: { span: Span }) {
  if (!span.links.length && !span.droppedLinksCount) return null;
  return (
    <>
      <h3>Links to others ({span.links.length})</h3>
      {span.links.map((link, at) => (
        <details key={at}>
          <summary><a href={linkTo(`/trace/${link.traceId}`, { span: link.spanId })}><code>{link.traceId}</code></a> <span class="soft">span {link.spanId}</span></summary>
          <Attributes attributes={link.attributes} level="link" />
        </details>
      ))}
      <Dropped count={span.droppedLinksCount} what="links" />
    </>
  );
}

function IncomingLinks({ traceId, spanId }: { traceId: string; spanId: string }) {
  const { data } = useAnswer<Schemas["Links"]>(`/api/v1/traces/${traceId}/links`, { workspace: currentWorkspace() });
  const incoming = data?.incoming.filter((link) => link.toSpanId === spanId) ?? [];
  if (!incoming.length) return null;
  return (
    <>
      <h3>Links from others ({incoming.length})</h3>
      <ul>
        {incoming.map((link) => (
          <li key={`${link.traceId} ${link.spanId}`}>
            <a href={linkTo(`/trace/${link.traceId}`, { span: link.spanId })}>{link.service}: {link.name}</a>
          </li>
        ))}
      </ul>
    </>
  );
}

function Dropped({ count, what }: { count: number; what: string }) {
  return count ? <p class="soft">{count} {what} more were dropped by the service.</p> : null;
}

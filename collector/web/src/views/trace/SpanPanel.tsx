// All that is known of one span.
import type { RefObject } from "preact";
import type { Schemas } from "../../api/client";
import { useAnswer, type Answered } from "../../api/useAnswer";
import { address, addressWith, linkTo } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { showTime } from "../../time/range";
import { colorAmong } from "../../ui/colors";
import { CopyButton } from "../../ui/CopyButton";
import { showDuration, showName } from "../../ui/format";
import { ErrorNote, Loading } from "../../ui/notes";
import { Annotations } from "./Annotations";
import { Attributes, Dropped, LongText } from "./attributes";
import { choosing } from "./choice";
import { pathOf, type LoadedTrace } from "./loading";
import { alikeBefore, type Bar, type Bars } from "./model";
import type { OnPath } from "./path";
import { SpanEvents } from "./SpanEvents";
import { SpanLinks } from "./SpanLinks";
import { WhatIf } from "./WhatIf";

type Details = Schemas["SpanDetails"];
type Span = Details["spans"][number];
type Resource = Details["resources"][number];
type Scope = Details["scopes"][number];

interface Props {
  element: RefObject<HTMLElement | null>;
  traceId: string;
  trace: LoadedTrace;
  bar: Bar;
  path: OnPath | undefined;
  onClose: () => void;
}

export function SpanPanel({ element, traceId, trace, bar, path, onClose }: Props) {
  const workspace = currentWorkspace();
  const { data, error, again } = useAnswer<Details>(`${pathOf(traceId)}/spans/${bar.spanId}`, { workspace });
  const links = useAnswer<Schemas["Links"]>(`${pathOf(traceId)}/links`, { workspace });
  const span = data && spanOf(data, trace.bars, bar);
  return (
    <aside ref={element} class="span-panel" tabIndex={-1} aria-label={`Span ${showName(bar.name)}`}>
      <div class="panel-head">
        <h2 title={`${showName(bar.service)}: ${showName(bar.name)}`}>
          <span class="dot" style={{ background: colorAmong(trace.colors, bar.service) }} /> <bdi>{showName(bar.service)}</bdi>: <bdi>{showName(bar.name)}</bdi>
        </h2>
        <button type="button" class="button plain" aria-label="Close" onClick={onClose}>×</button>
      </div>
      {error ? <ErrorNote error={error} onRetry={again} />
        : data && span ? <SpanDetails key={bar.index} traceId={traceId} trace={trace} details={data} span={span} bar={bar} path={path} links={links} />
        : <Loading what="the span" />}
      <Annotations traceId={traceId} spanId={bar.spanId} />
    </aside>
  );
}

/** The span of a bar; undefined where the details are still those of the one before. Client and server may share an id, and so may
 * attempts that are alike but for their times, by which both are in order. */
function spanOf({ spans }: Details, bars: Bars, bar: Bar): Span | undefined {
  const named = spans.filter(({ spanId }) => spanId === bar.spanId);
  const alike = named.filter(({ service, name, kind }) => service === bar.service && name === bar.name && kind === bar.kind);
  return alike.length > 1 ? alike[alikeBefore(bars, bar.at)] : (alike[0] ?? named[0]);
}

interface DetailsProps extends Omit<Props, "element" | "onClose"> {
  details: Details;
  span: Span;
  links: Answered<Schemas["Links"]>;
}

function SpanDetails({ traceId, trace, details, span, bar, path, links }: DetailsProps) {
  const [resource, scope] = [details.resources[span.resource], details.scopes[span.scope]];
  const copied = JSON.stringify({ traceId, ...span, resource, scope }, null, 2);
  return (
    <>
      {span.statusMessage && <p class={bar.failed ? "note error said" : "note said"}><LongText text={span.statusMessage} /></p>}
      <Facts span={span} bars={trace.bars} bar={bar} />
      {path && <WhatIf traceId={traceId} trace={trace} bar={bar} path={path} />}
      <div class="row">
        <CopyButton text={address()} what="a link to the span" label="Copy link" />
        <CopyButton text={copied} what="the span as JSON" label="Copy as JSON" />
        <a class="button plain small" href={linkTo("/search", { q: `service = ${JSON.stringify(span.service)} and name = ${JSON.stringify(span.name)}` })}>
          Find more of these
        </a>
      </div>
      <h3>Attributes</h3>
      <Attributes attributes={span.attributes} level="span" />
      <Dropped count={span.droppedAttributesCount} what="attributes" />
      <SpanEvents span={span} />
      <SpanLinks traceId={traceId} span={span} asked={links} />
      {resource && <Origin title="Resource" level="resource" from={resource} />}
      {scope && (scope.name || scope.attributes.length > 0) && <Origin title="Scope" level="scope" from={scope} />}
    </>
  );
}

function Facts({ span, bars, bar }: { span: Span; bars: Bars; bar: Bar }) {
  return (
    <dl class="facts inline-facts">
      <div><dt>Status</dt><dd class={bar.failed ? "error-text" : ""}>{span.status}</dd></div>
      <div><dt>Kind</dt><dd>{span.kind}</dd></div>
      <div><dt>Duration</dt><dd>{showDuration(bar.duration)}</dd></div>
      <div><dt>Self time</dt><dd>{showDuration(bar.self)}</dd></div>
      <div><dt>Start</dt><dd>{showTime(BigInt(span.startTimeUnixNano))} <span class="soft">(+{showDuration(bar.offset)})</span></dd></div>
      <div><dt>Span id</dt><dd><code>{span.spanId}</code> <CopyButton text={span.spanId} what="span id" /></dd></div>
      {span.parentSpanId && (
        <div><dt>Parent</dt><dd>
          {bar.parent < 0 ? <code>{span.parentSpanId}</code> : <a href={addressWith(choosing(bars, bar.parent, true))}><code>{span.parentSpanId}</code></a>}
          {bar.missingParent && <span class="soft"> is not in the trace</span>}
        </dd></div>
      )}
      {span.traceState && <div><dt>Trace state</dt><dd><code>{span.traceState}</code></dd></div>}
    </dl>
  );
}

/** Where a span comes from: the resource that made it, or the scope of its instrumentation. */
function Origin({ title, level, from }: { title: string; level: "resource" | "scope"; from: Resource | Scope }) {
  return (
    <>
      <h3>{title}</h3>
      {"name" in from && <p>{showName(from.name)} <span class="soft">{from.version}</span></p>}
      {(level === "resource" || from.attributes.length > 0) && <Attributes attributes={from.attributes} level={level} />}
      <Dropped count={from.droppedAttributesCount} what="attributes" />
      {from.schemaUrl && <p class="soft">Schema {from.schemaUrl}</p>}
    </>
  );
}

// Links of a span to others, and of others to it.
import type { Schemas } from "../../api/client";
import type { Answered } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { showName } from "../../ui/format";
import { ErrorNote } from "../../ui/notes";
import { Attributes, Dropped } from "./attributes";

type Span = Schemas["Span"];

export function SpanLinks({ traceId, span, asked }: { traceId: string; span: Span; asked: Answered<Schemas["Links"]> }) {
  const incoming = asked.data?.incoming.filter((link) => link.toSpanId === span.spanId) ?? [];
  return (
    <>
      {(span.links.length > 0 || span.droppedLinksCount > 0) && <h3>Links to others ({span.links.length})</h3>}
      {span.links.map((link, at) => <Outgoing key={at} link={link} traceId={traceId} />)}
      <Dropped count={span.droppedLinksCount} what="links" />
      {asked.error && <ErrorNote error={asked.error} onRetry={asked.again} />}
      {incoming.length > 0 && <h3>Links from others ({incoming.length})</h3>}
      <ul class="links">
        {incoming.map((link) => (
          <li key={`${link.traceId} ${link.spanId}`}>
            <a href={linkTo(`/trace/${link.traceId}`, { span: link.spanId })}>{showName(link.service)}: {showName(link.name)}</a>
            {link.traceId === traceId && <span class="soft"> in this trace</span>}
          </li>
        ))}
      </ul>
      {asked.data && !asked.data.complete && <p class="soft">There are more links than are listed.</p>}
    </>
  );
}

function Outgoing({ link, traceId }: { link: Span["links"][number]; traceId: string }) {
  const saysMore = link.traceState !== "" || link.attributes.length > 0 || link.droppedAttributesCount > 0;
  return (
    <>
      <p class="linked">
        <a href={linkTo(`/trace/${link.traceId}`, { span: link.spanId })}><code>{link.traceId === traceId ? "this trace" : link.traceId}</code></a>{" "}
        <span class="soft">span {link.spanId}</span>
      </p>
      {saysMore && (
        <details open={link.attributes.length > 0 && link.attributes.length <= 5}>
          <summary>What the link says</summary>
          {link.traceState && <p>Trace state <code>{link.traceState}</code></p>}
          <Attributes attributes={link.attributes} level="link" />
          <Dropped count={link.droppedAttributesCount} what="attributes" />
        </details>
      )}
    </>
  );
}

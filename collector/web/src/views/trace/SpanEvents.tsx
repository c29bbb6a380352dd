// Events of a span; exceptions so that one can read where they came from.
import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { CopyButton } from "../../ui/CopyButton";
import { showDuration, showName } from "../../ui/format";
import { Attributes, Dropped, textOf } from "./attributes";

type Span = Schemas["Span"];
type Event = Span["events"][number];

/** Attributes that are shown in words rather than as such. */
const OF_EXCEPTIONS = ["exception.type", "exception.message", "exception.stacktrace"] as const;

export function SpanEvents({ span }: { span: Span }) {
  const start = BigInt(span.startTimeUnixNano);
  const length = Math.max(Number(span.durationNanos), 1);
  const [open, setOpen] = useState<ReadonlySet<number>>(() => new Set([span.events.findIndex(isException)]));
  if (!span.events.length && !span.droppedEventsCount) return null;
  const place = (time: string): number => Math.min(Math.max(Number(BigInt(time) - start) / length, 0), 1) * 100;
  return (
    <>
      <h3>Events ({span.events.length})</h3>
      <div class="event-axis" aria-hidden="true">
        {span.events.map((event, at) => <span key={at} class={isException(event) ? "exception" : ""} style={{ left: `min(${place(event.timeUnixNano)}%, 100% - 3px)` }} />)}
      </div>
      {span.events.map((event, at) => (
        <details key={at} open={open.has(at)} onToggle={(toggled) => {
          const after = new Set(open);
          if (toggled.currentTarget.open) after.add(at);
          else after.delete(at);
          setOpen(after);
        }}>
          <summary class={isException(event) ? "error-text" : ""}>
            {showName(event.name)} <span class="soft">+{showDuration(Number(BigInt(event.timeUnixNano) - start))}</span>
          </summary>
          {isException(event) ? <Exception event={event} /> : <Attributes attributes={event.attributes} level="event" />}
          <Dropped count={event.droppedAttributesCount} what="attributes" />
        </details>
      ))}
      <Dropped count={span.droppedEventsCount} what="events" />
    </>
  );
}

function isException(event: Event): boolean {
  return event.name === "exception" || event.attributes.some(({ key }) => key === "exception.stacktrace");
}

function Exception({ event }: { event: Event }) {
  const [type, message, trace] = OF_EXCEPTIONS.map((name) => event.attributes.find(({ key }) => key === name));
  const others = event.attributes.filter(({ key }) => !OF_EXCEPTIONS.some((name) => name === key));
  const text = trace && textOf(trace.value);
  return (
    <div class="exception">
      <p class="said"><b>{type ? textOf(type.value) : "exception"}</b>{message && <>: {textOf(message.value)}</>}</p>
      {text && (
        <>
          <pre class="stack-trace" role="group" tabIndex={0} aria-label="Stack trace">{text}</pre>
          <p class="soft">
            <CopyButton text={text} what="the stack trace" label="Copy the stack trace" />
            {trace.fullLength !== undefined && `Only the beginning of ${trace.fullLength} characters.`}
          </p>
        </>
      )}
      {others.length > 0 && <Attributes attributes={others} level="event" />}
    </div>
  );
}

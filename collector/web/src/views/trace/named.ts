// Traces and spans by their names, as people paste them.
import { firstWithId, spanIdAt, type Bars } from "./model";

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/i;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TRACE_ID = /^([0-9a-f]{16}|[0-9a-f]{32})$/i;
const SPAN_ID = /^[0-9a-f]{16}$/i;

/** The trace that a text names, and the span of it: by an id, a UUID, or the header `traceparent`. Undefined for other texts. */
export function traceNamed(text: string): { traceId: string; span: string } | undefined {
  const said = text.trim();
  const [, traceId, span] = TRACEPARENT.exec(said) ?? [];
  if (traceId && span) return { traceId, span };
  return TRACE_ID.test(said) || UUID.test(said) ? { traceId: said.replaceAll("-", ""), span: "" } : undefined;
}

/** The place of the bar that the URL names: by the position of its span in the trace, or by its id. -1 for none. */
export function placeNamed(bars: Bars, text: string): number {
  if (!SPAN_ID.test(text)) return text === "" ? -1 : (bars.place[Number(text)] ?? -1);
  return firstWithId(bars, text.toLowerCase());
}

/** What names a span in the URL: its id, which stays when spans come that were late; its position where another span has that id. */
export function nameOf(bars: Bars, at: number): string {
  const id = spanIdAt(bars, at);
  return placeNamed(bars, id) === at ? id : String(bars.index[at]);
}

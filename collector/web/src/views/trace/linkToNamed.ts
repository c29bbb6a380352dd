import { linkTo } from "../../app/location";
import { traceNamed } from "./named";

/** A link to the trace, and the span of it, that a text names; undefined for other texts. */
export function linkToNamed(text: string): string | undefined {
  const named = traceNamed(text);
  return named && linkTo(`/trace/${named.traceId}`, { span: named.span });
}

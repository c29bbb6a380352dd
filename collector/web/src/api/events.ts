// Streams of server-sent events, read by fetch: an EventSource cannot say who asks.
import { askRaw, type Asking } from "./client";
import { EventReader, type ServerEvent } from "./eventReader";

/** Follows a stream until it ends. Throws ApiError, AbortError when `signal` says so, and TypeError when the connection breaks. */
export async function follow(
  path: string, asking: Pick<Asking, "query" | "workspace">, onEvent: (event: ServerEvent) => void, signal: AbortSignal,
): Promise<void> {
  const answer = await askRaw(path, { ...asking, signal, headers: { Accept: "text/event-stream" } });
  if (!answer.body) return;
  const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const reader = new EventReader();
  for (;;) {
    const { done, value } = await pieces.read();
    if (done) return;
    reader.read(value).forEach(onEvent);
  }
}

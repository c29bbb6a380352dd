// Server-sent events out of the pieces in which a stream comes.

export interface ServerEvent {
  event: string;
  data: string;
}

/** Takes pieces of a stream as they come, and tells the events that are whole. */
export class EventReader {
  private rest = "";

  read(piece: string): ServerEvent[] {
    const blocks = (this.rest + piece).split(/\r\n\r\n|\n\n/);
    this.rest = blocks.pop() ?? "";
    return blocks.map(eventOf).filter((event) => event.data !== "");
  }
}

function eventOf(block: string): ServerEvent {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(":");
    const [name, value] = at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
  return { event, data: data.join("\n") };
}

import { expect, test } from "vitest";
import { EventReader } from "./eventReader";

test("events are told once they are whole, however the stream is cut", () => {
  const text = 'event: progress\ndata: {"number": 1}\n\n: a comment\n\nevent: end\r\ndata: {\r\ndata: }\r\n\r\nevent: cut';
  for (const size of [1, 3, 1000]) {
    const reader = new EventReader();
    const told = [];
    for (let at = 0; at < text.length; at += size) told.push(...reader.read(text.slice(at, at + size)));
    expect(told).toEqual([{ event: "progress", data: '{"number": 1}' }, { event: "end", data: "{\n}" }]);
  }
});

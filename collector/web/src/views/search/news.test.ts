import { expect, test } from "vitest";
import { MOST, withNews, withPage } from "./news";

type Hit = Parameters<typeof withNews>[0][number];

function hit(traceId: string, start: number, spanCount = 1): Hit {
  return { traceId, startTimeUnixNano: String(start), spanCount } as Hit;
}

test("what comes stands by its start, and what has changed is there once", () => {
  const after = withNews([hit("b", 20), hit("a", 9)], [hit("a", 9, 5), hit("c", 100)]);
  expect(after.map(({ traceId, spanCount }) => [traceId, spanCount])).toEqual([["c", 1], ["b", 1], ["a", 5]]);
});

test("an answer that was overtaken by a later one does not take back what that has told", () => {
  expect(withNews([hit("a", 9, 5)], [hit("a", 9, 2), hit("b", 8)])).toEqual([hit("a", 9, 5), hit("b", 8)]);
});

test("what comes again on a later page, because it has grown, is there once, in its place", () => {
  expect(withPage([hit("a", 3, 1), hit("b", 2, 2)], [hit("c", 1, 3), hit("a", 3, 4)])).toEqual([hit("b", 2, 2), hit("c", 1, 3), hit("a", 3, 4)]);
});

test("no more stay than can be looked through", () => {
  const many = Array.from({ length: MOST }, (_, at) => hit(String(at), at + 1));
  const after = withNews(many, [hit("new", 10_000)]);
  expect([after.length, after[0]?.traceId, after.some(({ traceId }) => traceId === "0")]).toEqual([MOST, "new", false]);
});

import { expect, test } from "vitest";
import { questionOf } from "./question";

test("a range that has moved on is the same question, and nothing else that is said otherwise", () => {
  const said = ["now-1h", "now", "", ""];
  const question = questionOf("/red", { query: { start: "1", end: "2", service: "cart" }, workspace: "a" }, said);
  expect(questionOf("/red", { query: { start: "3", end: "4", service: "cart" }, workspace: "a" }, said)).toBe(question);
  const others = [
    questionOf("/red", { query: { start: "1", end: "2", service: "cart" }, workspace: "a" }, ["now-2h", "now", "", ""]),
    questionOf("/red", { query: { start: "1", end: "2", service: "pay" }, workspace: "a" }, said),
    questionOf("/red", { query: { start: "1", end: "2", service: "cart" }, workspace: "b" }, said),
    questionOf("/topology", { query: { start: "1", end: "2", service: "cart" }, workspace: "a" }, said),
  ];
  expect(new Set([question, ...others]).size).toBe(5);
});

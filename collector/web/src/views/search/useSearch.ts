// The hits of the search that the URL names, page by page; and those that come while it is followed.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, ask, token, type Schemas } from "../../api/client";
import { follow } from "../../api/events";
import { parameter, parameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { nowNs } from "../../time/moment";
import { searchQuery, searchRange, tailQuery } from "./filters";
import { withNews, withPage } from "./news";

type Traces = Schemas["Traces"];
type News = Schemas["TracesNews"];

const PAGE = 50;
const AGAIN_MS = 2000;

export interface Found {
  /** The first page, which tells of all hits. */
  first: Traces;
  traces: Traces["traces"];
  nextCursor: string | null;
  /** Start and end, as they were asked for; pages have to be of one range. */
  range: { start: string; end: string };
  /** What came last, while the search is followed. */
  news?: News;
  /** What was searched for. */
  question: string;
  /** When the first page came, or what came last. */
  at: bigint;
}

export interface Searched {
  found: Found | undefined;
  error: ApiError | undefined;
  loading: boolean;
  more: () => void;
  /** Ask once more. */
  again: () => void;
}

export function useSearch(live: boolean): Searched {
  const [found, setFound] = useState<Found>();
  const [error, setError] = useState<ApiError>();
  const [loading, setLoading] = useState(true);
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((before) => before + 1), []);
  const asked = parameters.value.toString();
  const workspace = currentWorkspace();
  // Only what the API is asked for makes the question another one.
  const question = useMemo(() => JSON.stringify({ ...searchQuery({ start: 0n, end: 0n }), from: parameter("from"), to: parameter("to"), workspace }), [asked]);
  const fail = (caught: unknown): void => {
    if (!(caught instanceof ApiError)) return;
    // Hits of another question answer this one in no way.
    setFound((before) => (before?.question === question ? before : undefined));
    setError(caught);
    setLoading(false);
  };
  useEffect(() => {
    const abort = new AbortController();
    const range = searchRange();
    const query = { ...searchQuery(range), limit: PAGE };
    setLoading(true);
    ask<Traces>("/api/v1/traces", { query, workspace, signal: abort.signal }).then((first) => {
      const answer = { first, range: { start: String(range.start), end: String(range.end) }, question, at: nowNs() };
      setFound((before) =>
        live && before?.question === question
          ? { ...before, ...answer, traces: withNews(before.traces, first.traces), nextCursor: null }
          : { ...answer, traces: first.traces, nextCursor: first.nextCursor });
      setError(undefined);
      setLoading(false);
    }, fail);
    return () => abort.abort();
    // Whoever begins to follow wants to see what has come since the search as well, and who ends it what has no place among the latest.
  }, [question, live, round, token.value]);
  const isFollowed = live && found !== undefined;
  useEffect(() => {
    if (!isFollowed) return;
    const abort = new AbortController();
    const take = (news: News): void => setFound((before) => {
      if (!before) return before;
      const { start, end } = searchRange();
      return { ...before, at: nowNs(), news, traces: withNews(before.traces, news.traces), range: { start: String(start), end: String(end) }, nextCursor: null };
    });
    let timer = 0;
    const watch = async (): Promise<void> => {
      try {
        await follow("/api/v1/traces/events", { query: { ...tailQuery(), limit: PAGE }, workspace }, ({ data }) => take(JSON.parse(data) as News), abort.signal);
      } catch (caught) {
        if (abort.signal.aborted) return;
        fail(caught);
        if (caught instanceof ApiError && caught.status >= 400 && caught.status < 500) return;
      }
      // The connection broke, or the daemon was started anew: what has come meanwhile is searched for.
      timer = window.setTimeout(() => {
        again();
        void watch();
      }, AGAIN_MS);
    };
    void watch();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [isFollowed, question, token.value]);
  const pages = useRef<AbortController>(null);
  // A page of another question has no place among its hits.
  useEffect(() => () => pages.current?.abort(), [question, live, round]);
  const more = (): void => {
    if (!found?.nextCursor) return;
    setLoading(true);
    pages.current = new AbortController();
    const query = { ...searchQuery({ start: BigInt(found.range.start), end: BigInt(found.range.end) }), limit: PAGE, cursor: found.nextCursor };
    ask<Traces>("/api/v1/traces", { query, workspace, signal: pages.current.signal }).then((page) => {
      setFound({ ...found, traces: withPage(found.traces, page.traces), nextCursor: page.nextCursor });
      setLoading(false);
    }, fail);
  };
  return { found, error, loading, more, again };
}

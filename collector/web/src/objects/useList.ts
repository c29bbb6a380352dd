import { useEffect, useState } from "preact/hooks";
import { ApiError, ask, type Query } from "../api/client";
import { useAnswer } from "../api/useAnswer";
import { currentWorkspace, inWorkspace } from "../app/workspace";

export interface Listed<T> {
  items: readonly T[] | undefined;
  error: ApiError | undefined;
  loading: boolean;
  again: () => void;
  /** Asks for the next page; undefined where there is none. */
  more: (() => void) | undefined;
}

type Page<T> = Record<string, readonly T[]> & { nextCursor?: string | null };

/** A list of the workspace, page by page. `plural` is what the answer calls it. */
export function useList<T>(path: string | null, plural: string, query: Query = {}, everyMs = 0): Listed<T> {
  const first = useAnswer<Page<T>>(path === null ? null : inWorkspace(path), { query }, everyMs);
  const [later, setLater] = useState<{ items: readonly T[]; cursor: string | null }>();
  const [error, setError] = useState<ApiError>();
  const identity = JSON.stringify([path, query, currentWorkspace()]);
  useEffect(() => {
    setLater(undefined);
    setError(undefined);
  }, [identity]);
  const page = first.data?.[plural];
  const cursor = later ? later.cursor : (first.data?.nextCursor ?? null);
  const more = async (): Promise<void> => {
    if (path === null || cursor === null) return;
    try {
      const next = await ask<Page<T>>(inWorkspace(path), { query: { ...query, cursor } });
      setLater({ items: [...(later?.items ?? []), ...(next[plural] ?? [])], cursor: next.nextCursor ?? null });
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
    }
  };
  const again = (): void => {
    setLater(undefined);
    first.again();
  };
  return {
    items: page && [...page, ...(later?.items ?? [])],
    error: error ?? first.error,
    loading: first.loading,
    again,
    more: cursor === null ? undefined : () => void more(),
  };
}

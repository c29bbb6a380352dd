import { useState } from "preact/hooks";
import { ask, type Query } from "../api/client";
import { useAnswer, type Answered } from "../api/useAnswer";
import { currentWorkspace, inWorkspace } from "../app/workspace";
import { tellError } from "../ui/toasts";

export interface Listed<T> extends Answered<readonly T[]> {
  /** Asks for the next page; undefined where there is none. */
  more: (() => void) | undefined;
}

type Page<T> = Record<string, readonly T[]> & { nextCursor?: string | null };

/** A list of the workspace, page by page. `plural` is what the answer calls it. */
export function useList<T>(path: string, plural: string, query: Query = {}, everyMs = 0): Listed<T> {
  const first = useAnswer<Page<T>>(inWorkspace(path), { query }, everyMs);
  const list = JSON.stringify([path, query, currentWorkspace()]);
  const [pages, setPages] = useState<{ list: string; items: readonly T[]; cursor: string | null }>();
  // Pages of another list have no place in this one.
  const later = pages?.list === list ? pages : undefined;
  const page = first.data?.[plural];
  const cursor = later ? later.cursor : (first.data?.nextCursor ?? null);
  const more = async (from: string): Promise<void> => {
    try {
      const next = await ask<Page<T>>(inWorkspace(path), { query: { ...query, cursor: from } });
      setPages({ list, items: [...(later?.items ?? []), ...(next[plural] ?? [])], cursor: next.nextCursor ?? null });
    } catch (caught) {
      tellError(caught);
    }
  };
  return {
    ...first,
    data: page && [...page, ...(later?.items ?? [])],
    again: () => {
      setPages(undefined);
      first.again();
    },
    more: cursor === null ? undefined : () => void more(cursor),
  };
}

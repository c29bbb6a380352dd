import { useState } from "preact/hooks";
import { ask, urlOf, type Query } from "../api/client";
import { questionOf, TIMES_SAID } from "../api/question";
import { useAsked, type Answered } from "../api/useAnswer";
import { parameter } from "../app/location";
import { inWorkspace } from "../app/workspace";

export interface Listed<T> extends Answered<readonly T[]> {
  /** Asks for the next page; undefined where there is none. */
  more: (() => void) | undefined;
}

type Page<T> = Record<string, readonly T[]> & { nextCursor?: string | null };

interface Pages<T> {
  items: readonly T[];
  isWhole: boolean;
}

/** A list of the workspace, of which one page more is shown whenever somebody asks. `plural` is what the answer calls it.
 *
 * Whenever it is asked for, all pages that are shown are, one behind the other: of pages from different moments, one would have what
 * another has too, and what has left the one before is in neither. */
export function useList<T>(path: string, plural: string, query: Query = {}, everyMs = 0): Listed<T> {
  const list = inWorkspace(path);
  const question = questionOf(list, { query }, TIMES_SAID.map((name) => parameter(name)));
  const [wanted, setWanted] = useState({ question, pages: 1 });
  // Another list begins with its first page.
  const pages = wanted.question === question ? wanted.pages : 1;
  const read = async (signal: AbortSignal): Promise<Pages<T>> => {
    const items: T[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < pages && (page === 0 || cursor); page++) {
      const next: Page<T> = await ask<Page<T>>(list, { query: { ...query, cursor }, signal });
      items.push(...(next[plural] ?? []));
      cursor = next.nextCursor ?? null;
    }
    return { items, isWhole: cursor === null };
  };
  const { data, ...asked } = useAsked(question, `${urlOf(list, query)} ${pages}`, read, everyMs);
  return { ...asked, data: data?.items, more: data && !data.isWhole ? () => setWanted({ question, pages: pages + 1 }) : undefined };
}

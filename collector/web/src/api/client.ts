// Asks the daemon, and turns its problem documents (RFC 9457) into errors that people can read.
import { signal } from "@preact/signals";
import type { components } from "./schema";

export type Schemas = components["schemas"];

export interface FieldFault {
  field: string;
  value: unknown;
  detail: string;
}

/** What went wrong with a request. `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly parameter = "",
    readonly faults: readonly FieldFault[] = [],
    /** What an object says now, where somebody else has changed it. */
    readonly current: unknown = null,
  ) {
    super(detail);
  }
}

/** What stands in front of all paths of the daemon, as where a proxy is in front of it; without a slash at its end. */
export const BASE = (document.querySelector<HTMLMetaElement>('meta[name="base-path"]')?.content ?? "").replace(/^\.?\/$|\/$/, "");

const TOKEN_KEY = "spanhouse.token";

/** The token of the person at the page, for as long as the tab is open. */
export const token = signal(sessionStorage.getItem(TOKEN_KEY) ?? "");
/** Whether the daemon has asked who this is. */
export const needsToken = signal(false);

export function setToken(text: string): void {
  token.value = text.trim();
  sessionStorage.setItem(TOKEN_KEY, token.value);
  needsToken.value = false;
}

export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

/** `path?query`, without what is not said. Lists become one parameter for each of their items. */
export function urlOf(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) parameters.append(name, String(each));
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

export interface Asking {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: Query;
  body?: unknown;
  /** The version that is changed. */
  version?: number;
  workspace?: string;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** The answer's document; undefined where there is none. Throws ApiError, or AbortError when `signal` says so. */
export async function ask<T>(path: string, asking: Asking = {}): Promise<T> {
  const answer = await askRaw(path, asking);
  if (answer.status === 204 || answer.status === 304) return undefined as T;
  return (await answer.json()) as T;
}

/** The answer itself, which is no problem. */
export async function askRaw(path: string, asking: Asking = {}): Promise<Response> {
  const headers: Record<string, string> = { ...asking.headers };
  if (token.value) headers["Authorization"] = `Bearer ${token.value}`;
  if (asking.workspace) headers["X-Workspace-Id"] = asking.workspace;
  if (asking.version !== undefined) headers["If-Match"] = `"${asking.version}"`;
  if (asking.body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(BASE + urlOf(path, asking.query), {
      method: asking.method ?? "GET",
      headers,
      body: asking.body === undefined ? null : JSON.stringify(asking.body),
      signal: asking.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "No answer", "The daemon does not answer. Is it running?");
  }
  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 401) needsToken.value = true;
  throw await problemOf(answer);
}

async function problemOf(answer: Response): Promise<ApiError> {
  try {
    const document = (await answer.json()) as Partial<Schemas["Problem"]>;
    return new ApiError(
      answer.status,
      document.title ?? answer.statusText,
      document.detail ?? answer.statusText,
      document.parameter,
      (document.errors ?? []) as FieldFault[],
      document.current,
    );
  } catch {
    return new ApiError(answer.status, answer.statusText, `The daemon answers with status ${answer.status}.`);
  }
}

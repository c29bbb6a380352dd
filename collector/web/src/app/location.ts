// Where the page is: every state that somebody may want to share or to come back to is in the URL.
import { computed, signal, type ReadonlySignal } from "@preact/signals";
import { BASE, urlOf, type Query } from "../api/client";

const here = signal(new URL(window.location.href));
window.addEventListener("popstate", () => {
  unwritten = undefined;
  here.value = new URL(window.location.href);
});

/** The path, such as `/trace/4bf9...`, below where the page lies. */
export const path = computed(() => below(here.value.pathname));
/** A part of a path as it was before it was encoded; as it stands, where somebody has typed what is no code. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** What stands behind the question mark. */
export const parameters = computed(() => here.value.searchParams);

const texts = new Map<string, ReadonlySignal<string | null>>();

/** The text of a parameter; a view that reads it follows this one, and is not drawn anew for others. */
export function parameter(name: string, otherwise = ""): string {
  let text = texts.get(name);
  if (!text) texts.set(name, (text = computed(() => parameters.value.get(name))));
  return text.value ?? otherwise;
}

/** Parameters that stay when the view changes: whose spans, of when, by which clock. */
const KEPT = ["ws", "from", "to", "tz"] as const;

/** A link to a view, which keeps time range, zone and workspace unless the query says otherwise. */
export function linkTo(view: string, query: Query = {}): string {
  const kept: Query = {};
  for (const name of KEPT) kept[name] = parameter(name);
  return BASE + urlOf(view, { ...kept, ...query });
}

/** Go to a URL of the page. `replace` leaves no entry in the history. */
export function go(url: string, replace = false): void {
  const target = new URL(url, here.value);
  if (target.href === here.value.href) return;
  if (replace) {
    rewrite(target);
  } else {
    settle();
    history.pushState(null, "", target);
  }
  if (target.pathname !== here.value.pathname) window.scrollTo(0, 0);
  here.value = target;
}

const REWRITE_MS = 250;
let unwritten: URL | undefined;
let rewriting: number | undefined;

/** Put a URL in the place of the one in the browser's bar: now and then only, since a key that is held down asks for more than
 * browsers do, which leave out what comes too often. */
function rewrite(target: URL): void {
  unwritten = target;
  if (rewriting !== undefined) return;
  settle();
  rewriting = window.setTimeout(() => {
    rewriting = undefined;
    settle();
  }, REWRITE_MS);
}

function settle(): void {
  if (unwritten) history.replaceState(null, "", unwritten);
  unwritten = undefined;
}
window.addEventListener("pagehide", settle);

/** The address of what is shown. */
export function address(): string {
  return here.value.href;
}

/** The address of what is shown once parameters are changed; null and the empty text remove one. */
export function addressWith(changes: Record<string, string | null>): string {
  const target = new URL(here.value.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") target.searchParams.delete(name);
    else target.searchParams.set(name, value);
  }
  return target.href;
}

/** Change parameters of the view that is shown, as `addressWith` does. */
export function setParameters(changes: Record<string, string | null>, replace = false): void {
  go(addressWith(changes), replace);
}

/** Let links of the page be followed without loading it anew. */
export function followLinks(): () => void {
  const follow = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== window.location.origin) return;
    // The browser goes to places within what is shown, and takes the focus there.
    if (link.hash && link.pathname === here.value.pathname && link.search === here.value.search) return;
    if (!isView(below(new URL(link.href).pathname))) return;
    event.preventDefault();
    go(link.href);
  };
  document.addEventListener("click", follow);
  return () => document.removeEventListener("click", follow);
}

function below(pathname: string): string {
  return pathname === BASE || pathname.startsWith(`${BASE}/`) ? pathname.slice(BASE.length) : pathname;
}

const ELSEWHERE = /^\/(api|docs|openapi\.json|metrics|healthz|readyz|jaeger|tempo|zipkin|prometheus)(\/|$)/;

function isView(pathname: string): boolean {
  return !ELSEWHERE.test(pathname);
}

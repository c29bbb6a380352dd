import type { Query } from "../api/client";
import { linkTo, parameter } from "../app/location";

/** Parts of a view, one of which is shown; which one is in the URL, beside what all of them `keep` there. The first one is what the plain URL shows. */
export function Tabs({ view, label, tabs, keep }: { view: string; label: string; tabs: readonly (readonly [string, string])[]; keep?: Query }) {
  const first = tabs[0]?.[0] ?? "";
  const shown = parameter("tab", first);
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(([name, words]) => (
        <a key={name} class="button" href={linkTo(view, { ...keep, tab: name === first ? null : name })} aria-current={name === shown ? "page" : undefined}>{words}</a>
      ))}
    </nav>
  );
}

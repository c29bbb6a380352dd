import { useEffect, useState } from "preact/hooks";
import { BASE } from "../api/client";
import { theme, type Theme } from "../ui/theme";
import { TimePicker } from "../time/TimePicker";
import { linkTo, path, setParameters } from "./location";
import { VIEWS, type View } from "./views";
import { currentWorkspace } from "./workspace";

const THEMES: readonly Theme[] = ["system", "light", "dark"];

/** The head of all views. Where there is little room, all but the time range is in a menu. */
export function Head({ shown }: { shown: View }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [path.value]);
  return (
    <header class="shell-head" onKeyDown={(event) => event.key === "Escape" && setOpen(false)}>
      <a class="brand" href={linkTo("/search")}>
        <img src={`${BASE}/icon.svg`} width="20" height="20" alt="" /> spanhouse
      </a>
      <button type="button" class="button menu-toggle" aria-expanded={open} aria-controls="menu" onClick={() => setOpen(!open)}>
        <span aria-hidden="true">☰</span> Menu
      </button>
      <div id="menu" class={open ? "menu open" : "menu"}>
        <nav aria-label="Views">
          {VIEWS.filter((view) => view.name).map((view) => (
            <a key={view.path} href={linkTo(view.path)} aria-current={view === shown ? "page" : undefined}>
              {view.name}
            </a>
          ))}
        </nav>
        <label class="row">
          <span class="head-label">Workspace</span>
          <input
            size={10}
            title="Workspace"
            value={currentWorkspace()}
            pattern="[A-Za-z0-9._\-]{1,64}"
            onChange={(event) => setParameters({ ws: event.currentTarget.value || null })}
          />
        </label>
        <label class="row">
          <span class="visually-hidden">Colours</span>
          <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
            {THEMES.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <TimePicker />
    </header>
  );
}

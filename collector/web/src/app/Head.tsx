import { theme, type Theme } from "../ui/theme";
import { TimePicker } from "../time/TimePicker";
import { linkTo, setParameters } from "./location";
import { VIEWS, type View } from "./views";
import { currentWorkspace } from "./workspace";

const THEMES: readonly Theme[] = ["system", "light", "dark"];

export function Head({ shown }: { shown: View }) {
  return (
    <header class="shell-head">
      <a class="brand" href={linkTo("/search")}>
        <img src="/icon.svg" width="20" height="20" alt="" /> spanhouse
      </a>
      <nav aria-label="Views">
        {VIEWS.filter((view) => view.name).map((view) => (
          <a key={view.path} href={linkTo(view.path)} aria-current={view === shown ? "page" : undefined}>
            {view.name}
          </a>
        ))}
      </nav>
      <span style={{ flex: 1 }} />
      <TimePicker />
      <label class="row">
        <span>Workspace</span>
        <input
          size={10}
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
    </header>
  );
}

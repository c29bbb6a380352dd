import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Loading } from "../ui/notes";
import { Toasts } from "../ui/toasts";
import { Head } from "./Head";
import { followLinks, path } from "./location";
import { SignIn } from "./SignIn";
import { viewOf, type View } from "./views";

const loaded = new Map<View, ComponentType>();

export function App() {
  useEffect(followLinks, []);
  const view = viewOf(path.value);
  const Shown = useView(view);
  useEffect(() => {
    document.title = view.name ? `${view.name} · spanhouse` : "spanhouse";
  }, [view]);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <Head shown={view} />
      <main id="main" tabIndex={-1}>
        {Shown ? <Shown /> : <Loading what="the view" />}
      </main>
      <SignIn />
      <Toasts />
    </div>
  );
}

function useView(view: View): ComponentType | undefined {
  const [, render] = useState(0);
  useEffect(() => {
    if (loaded.has(view)) return;
    let wanted = true;
    void view.load().then((module) => {
      loaded.set(view, module.default);
      if (wanted) render((count) => count + 1);
    });
    return () => {
      wanted = false;
    };
  }, [view]);
  return loaded.get(view);
}

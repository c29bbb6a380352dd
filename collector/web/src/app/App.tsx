import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { ErrorNote, Loading } from "../ui/notes";
import { tellError, Toasts } from "../ui/toasts";
import { Fence } from "./Fence";
import { Head } from "./Head";
import { followLinks, path } from "./location";
import { SignIn } from "./SignIn";
import { useTabTitle } from "./title";
import { viewOf, type View } from "./views";

const loaded = new Map<View, ComponentType>();

export function App() {
  useEffect(followLinks, []);
  useEffect(tellUnhandled, []);
  const main = useRef<HTMLElement>(null);
  // Whoever has followed a link by key goes on in the view that it led to.
  useEffect(() => {
    if (document.activeElement !== document.body) main.current?.focus({ preventScroll: true });
  }, [path.value]);
  const view = viewOf(path.value);
  useTabTitle(view.name);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <Head shown={view} />
      <main ref={main} id="main" tabIndex={-1}>
        <Fence key={path.value}>
          <Loaded view={view} />
        </Fence>
      </main>
      <SignIn />
      <Toasts />
    </div>
  );
}

/** What a person asked for and nobody has caught the failure of is told, rather than left in the console. */
function tellUnhandled(): () => void {
  const tell = (event: PromiseRejectionEvent): void => tellError(event.reason);
  window.addEventListener("unhandledrejection", tell);
  return () => window.removeEventListener("unhandledrejection", tell);
}

/** A view, which is loaded when it is first shown. */
function Loaded({ view }: { view: View }) {
  const [, setArrived] = useState<View>();
  const [failed, setFailed] = useState<View>();
  useEffect(() => {
    if (loaded.has(view)) return;
    let wanted = true;
    view.load().then(
      (module) => {
        loaded.set(view, module.default);
        if (wanted) setArrived(view);
      },
      () => wanted && setFailed(view),
    );
    return () => {
      wanted = false;
    };
  }, [view]);
  const Shown = loaded.get(view);
  if (Shown) return <Shown />;
  if (failed === view) return <ErrorNote error={NOT_LOADED} onRetry={() => window.location.reload()} />;
  return <Loading what="the view" />;
}

const NOT_LOADED = new ApiError(0, "The view could not be loaded", "The daemon does not answer, or another version of it runs since this page was opened.");

// Enabling or disabling many objects at once: each by itself, so that one that somebody else has changed keeps back no other.
import { ask } from "../api/client";
import { inWorkspace } from "../app/workspace";
import { tell, tellError } from "../ui/toasts";
import type { Kind, Stored } from "./kind";

/** As many as the API takes in one request. */
const AT_ONCE = 100;

/** Asks for it, and tells what came of it. */
export async function toggleMany<T extends Stored>(kind: Kind<T>, objects: readonly T[], enabled: boolean): Promise<void> {
  let done = 0;
  try {
    for (let at = 0; at < objects.length; at += AT_ONCE) {
      const named = objects.slice(at, at + AT_ONCE).map(({ id, version }) => ({ id, version }));
      const { results } = await ask<{ results: { status: number }[] }>(inWorkspace(`${kind.path}/toggle`), { method: "POST", body: { enabled, [kind.plural]: named } });
      done += results.filter(({ status }) => status === 200).length;
    }
  } catch (caught) {
    tellError(caught);
    return;
  }
  const what = enabled ? "enabled" : "disabled";
  if (done === objects.length) tell(`${done} ${kind.noun}${done === 1 ? " is" : "s are"} ${what}`);
  else tell(`${done} of ${objects.length} ${kind.noun}s are ${what}; the others were changed or deleted meanwhile`, true);
}

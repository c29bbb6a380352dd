// The configuration that runs, with all defaults; and reading its file again.
import { useState } from "preact/hooks";
import { ask, type Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { CopyButton } from "../../ui/CopyButton";
import { Confirm } from "../../ui/Dialog";
import { AnswerNote } from "../../ui/notes";
import { tell, tellError } from "../../ui/toasts";

export function Configuration() {
  const answer = useAnswer<Schemas["RunningConfiguration"]>("/api/v1/config");
  const { data, again } = answer;
  const [asking, setAsking] = useState(false);
  const reload = async (): Promise<void> => {
    try {
      const { applied, atRestart } = await ask<Schemas["Reloaded"]>("/api/v1/config/reload", { method: "POST" });
      tell(applied.length ? `In force now: ${applied.join(", ")}` : "Nothing has changed that can be put in force without a restart");
      if (atRestart.length) tell(`Waits for a restart: ${atRestart.join(", ")}`);
      again();
    } catch (caught) {
      tellError(caught);
    }
  };
  if (!data) return <AnswerNote of={answer} what="the configuration" />;
  const text = JSON.stringify(data.configuration, null, 2);
  return (
    <section class="stack">
      <AnswerNote of={answer} what="the configuration" />
      <div class="row spread">
        <p class="soft">What runs, with all defaults; secrets are masked.</p>
        <span class="row">
          <CopyButton text={text} what="the configuration" label="Copy" />
          <button type="button" class="button" onClick={() => setAsking(true)}>Read the file again</button>
        </span>
      </div>
      <pre class="card configuration" tabIndex={0} role="group" aria-label="Configuration">{text}</pre>
      {asking && (
        <Confirm title="Read the configuration file again?" detail="What may change without a restart is in force at once. A file with mistakes changes nothing." verb="Read it"
          onClose={() => setAsking(false)} onConfirm={() => void reload()} />
      )}
    </section>
  );
}

// What people have said of a span, and saying something.
import { useState } from "preact/hooks";
import { ApiError, ask, type Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { currentWorkspace, inWorkspace } from "../../app/workspace";
import { showAge } from "../../time/moment";
import { Confirm } from "../../ui/Dialog";
import { AnswerNote, ErrorNote } from "../../ui/notes";
import { tell, tellError } from "../../ui/toasts";
import { pathOf } from "./loading";

type Annotation = Schemas["Annotation"];
const COLOURS = ["", "red", "orange", "yellow", "green", "blue", "purple", "grey"] as const;

export function Annotations({ traceId, spanId }: { traceId: string; spanId: string }) {
  const answer = useAnswer<Schemas["TraceAnnotations"]>(`${pathOf(traceId)}/annotations`, { workspace: currentWorkspace() });
  const { data, again } = answer;
  const [leaving, setLeaving] = useState<Annotation>();
  const said = data?.annotations.filter((each) => each.spanId === spanId) ?? [];
  const remove = async (annotation: Annotation): Promise<void> => {
    try {
      await ask(inWorkspace(`annotations/${annotation.id}`), { method: "DELETE", version: annotation.version });
      tell("The comment is gone");
      again();
    } catch (caught) {
      tellError(caught);
    }
  };
  return (
    <>
      <h3>Comments</h3>
      {said.map((each) => (
        <div key={each.id} class="note" style={each.colour ? { borderInlineStart: `5px solid ${each.colour}` } : {}}>
          <div class="row spread">
            <span class="soft">{each.createdBy}, {showAge(BigInt(each.createdAtUnixNano))}</span>
            <button type="button" class="button plain" aria-label="Delete the comment" onClick={() => setLeaving(each)}>×</button>
          </div>
          <p class="said comment">{each.text}</p>
        </div>
      ))}
      {answer.error && <AnswerNote of={answer} what="comments" />}
      <CommentForm key={spanId} traceId={traceId} spanId={spanId} onSent={again} />
      {leaving && <Confirm title="Delete the comment?" detail={leaving.text || leaving.colour} verb="Delete" onClose={() => setLeaving(undefined)} onConfirm={() => void remove(leaving)} />}
    </>
  );
}

function CommentForm({ traceId, spanId, onSent }: { traceId: string; spanId: string; onSent: () => void }) {
  const [text, setText] = useState("");
  const [colour, setColour] = useState("");
  const [error, setError] = useState<ApiError>();
  const send = async (): Promise<void> => {
    try {
      await ask(inWorkspace("annotations"), { method: "POST", body: { traceId, spanId, text, colour } });
      setText("");
      setError(undefined);
      onSent();
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
    }
  };
  return (
    <form class="stack" onSubmit={(event) => { event.preventDefault(); void send(); }}>
      <label class="stack">
        <span class="visually-hidden">Comment</span>
        <textarea rows={2} maxLength={4000} placeholder="What should others know of this span?" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <div class="row">
        <label class="row">
          Colour
          <select value={colour} onChange={(event) => setColour(event.currentTarget.value)}>
            {COLOURS.map((each) => <option key={each} value={each}>{each || "none"}</option>)}
          </select>
        </label>
        <button type="submit" class="button" disabled={!text && !colour}>Comment</button>
      </div>
      {error && <ErrorNote error={error} />}
    </form>
  );
}

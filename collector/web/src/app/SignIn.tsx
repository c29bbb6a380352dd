import { useState } from "preact/hooks";
import { needsToken, setToken, token } from "../api/client";
import { Dialog } from "../ui/Dialog";

/** Asks for a token where the daemon wants to know who this is. It is kept until the tab is closed. */
export function SignIn() {
  const [text, setText] = useState("");
  if (!needsToken.value) return null;
  return (
    <Dialog title="Who are you?" onClose={() => (needsToken.value = false)}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); setToken(text); }}>
        <p>This daemon lets in whoever has one of its tokens. It is kept in this tab only.</p>
        {token.value && <p class="error-text" role="alert">It does not take the token that was given, or does not any more.</p>}
        <label class="stack">
          Token
          <input type="password" autocomplete="off" required value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit" class="button primary">
          Go on
        </button>
      </form>
    </Dialog>
  );
}

// The keys that lead through a waterfall.
import { Dialog } from "../../ui/Dialog";

const KEYS: readonly [string, string][] = [
  ["↓ or j, ↑ or k", "next and previous span"],
  ["→ or l, ← or h", "open, or close and go to the parent"],
  ["Home, End", "first and last span"],
  ["Enter", "all that is known of the span; once more to go there"],
  ["e, E", "next and previous span that failed"],
  ["s, S", "the span that the trace waited for longest, then the next; and back"],
  ["c, C", "next and previous span on the critical path"],
  ["/, then n, N", "search within the trace; next and previous span that fits"],
  ["f", "only this span and what is below it; once more for all"],
  ["z, Z", "zoom to the span, and out again"],
  ["r", "draw spans that repeat as one, or each"],
  ["Escape", "close what is open"],
  ["?", "these keys"],
  ["Tab, to the map above", "then ← and → move what is shown, ↑ and ↓ zoom in and out, Escape shows all"],
];

export function Keys({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <table class="data">
        <tbody>{KEYS.map(([keys, what]) => <tr key={keys}><th scope="row">{keys}</th><td>{what}</td></tr>)}</tbody>
      </table>
    </Dialog>
  );
}

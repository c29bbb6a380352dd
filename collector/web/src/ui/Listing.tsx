import type { ComponentChildren } from "preact";
import type { Listed } from "../objects/useList";
import { AnswerNote } from "./notes";

interface Props {
  what: string;
  of: Listed<unknown>;
  heads: readonly string[];
  /** What is shown where there is nothing. */
  empty: ComponentChildren;
  /** The rows. */
  children: ComponentChildren;
}

/** Rows of a list as a table, and the button for its next page where there is one. */
export function Listing({ what, of, heads, empty, children }: Props) {
  const note = <AnswerNote of={of} what={what.toLowerCase()} />;
  if (!of.data?.length) return <>{note}{of.data && empty}</>;
  return (
    <>
      {note}
      <div class="scroll-x">
        <table class="data">
          <caption class="visually-hidden">{what}</caption>
          <thead>
            <tr>{heads.map((head) => <th key={head} scope="col">{head}</th>)}</tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      </div>
      {of.more && <button type="button" class="button" onClick={of.more}>More</button>}
    </>
  );
}

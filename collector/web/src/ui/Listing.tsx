import type { ComponentChildren } from "preact";

/** Rows of a list as a table, and the button for its next page where there is one. */
export function Listing({ what, heads, more, children }: { what: string; heads: readonly string[]; more: (() => void) | undefined; children: ComponentChildren }) {
  return (
    <>
      <div class="scroll-x">
        <table class="data">
          <caption class="visually-hidden">{what}</caption>
          <thead>
            <tr>{heads.map((head) => <th key={head} scope="col">{head}</th>)}</tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      </div>
      {more && <button type="button" class="button" onClick={more}>More</button>}
    </>
  );
}

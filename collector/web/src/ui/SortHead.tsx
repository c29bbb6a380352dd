/** The head of a column by which rows can be ordered. */
export function SortHead<Name extends string>({ name, sort, onSort, label, number = true }: {
  name: Name; sort: Name; onSort: (name: Name) => void; label: string; number?: boolean;
}) {
  return (
    <th scope="col" class={number ? "number" : ""} aria-sort={sort === name ? (number ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={() => onSort(name)}>
        {label}
        <span aria-hidden="true">{sort === name ? (number ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
}

// Which span is chosen, and whether all that is known of it is shown beside the waterfall, as the URL says it.
import { parameter } from "../../app/location";
import { closedPlaces, turned } from "./closed";
import { ancestors, type Bars } from "./model";
import { nameOf, placeNamed } from "./named";

/** Whether what is known of the chosen span is shown. Where a span is named and nothing else said, it is: links to spans lead there. */
export function isPanelOpen(): boolean {
  return parameter("span") !== "" && parameter("panel", "open") === "open";
}

/** What the URL has to say so that a span is chosen and can be seen. `collapsed` are the places below which nothing is shown now. */
export function choosing(
  bars: Bars, at: number, withPanel: boolean, collapsed: ReadonlySet<number> = closedPlaces(bars, parameter("closed")),
): Record<string, string | null> {
  const above = ancestors(bars, at);
  const opened = above.filter((each) => collapsed.has(each));
  const focus = placeNamed(bars, parameter("focus"));
  const isInFocus = focus < 0 || focus === at || above.includes(focus);
  return {
    span: nameOf(bars, at), panel: withPanel ? null : "closed", tab: null, closed: turned(bars, parameter("closed"), opened), ...(isInFocus ? {} : { focus: null }),
  };
}

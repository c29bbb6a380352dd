import { useEffect, useMemo, useState } from "preact/hooks";
import { parameter } from "../app/location";
import { currentRange, isRelative, type TimeRange } from "./range";

/** The range that the URL names. It stands still until the URL changes; one that ends now moves on when `asked` changes, and every
 * `everyMs`, while the tab is seen. */
export function useRange(everyMs = 0, asked = 0): TimeRange {
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => isRelative() && document.visibilityState === "visible" && setRound((before) => before + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return useMemo(() => currentRange(), [parameter("from"), parameter("to"), parameter("tz"), round, asked]);
}

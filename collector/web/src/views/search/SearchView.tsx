// Finding traces: a query in words, filters as chips, a picture of the hits, and the hits themselves.
import { address, linkTo, parameter, setParameters } from "../../app/location";
import { isRelative } from "../../time/range";
import { CopyButton } from "../../ui/CopyButton";
import { showCount } from "../../ui/format";
import { Empty, ErrorNote, Incomplete, Loading } from "../../ui/notes";
import { SendSpans } from "../../ui/SendSpans";
import { Filters } from "./Filters";
import { activeFilters, SORTS, tailQuery } from "./filters";
import { Hits } from "./Hits";
import { QueryBox } from "./QueryBox";
import { Scatter } from "./Scatter";
import "./search.css";
import { useSearch } from "./useSearch";

export default function SearchView() {
  const sort = parameter("sort", "start");
  // What comes is the latest, so that no other order can be followed.
  const live = parameter("live") === "on" && isRelative() && sort === "start" && parameter("order") !== "asc";
  const { found, error, loading, more, again } = useSearch(live);
  const follow = (): void => {
    setParameters({ live: live ? null : "on", sort: null, order: null });
  };
  return (
    <div class="stack">
      <h1 class="visually-hidden">Search for traces</h1>
      <QueryBox error={error?.parameter === "q" ? error : undefined} onAgain={again} />
      <Filters />
      <div class="row spread">
        <div class="row" role="group" aria-label="Order">
          {SORTS.map(([name, label]) => (
            <button key={name} type="button" class="button" aria-pressed={sort === name} onClick={() => setParameters({ sort: name === "start" ? null : name })}>
              {label}
            </button>
          ))}
          <button type="button" class="button" aria-pressed={parameter("order") === "asc"} onClick={() => setParameters({ order: parameter("order") === "asc" ? null : "asc" })}>
            Reversed
          </button>
        </div>
        <div class="row">
          <button type="button" class="button" aria-pressed={live} disabled={!isRelative()} onClick={follow}
            title={isRelative() ? "Show traces as they come" : "Only a time range that ends now can be followed"}>
            {live ? "● Live" : "Live"}
          </button>
          <a class="button" href={linkTo("/analyze", tailQuery())} title="How long their spans take, and what sets some apart">Analyze</a>
          <CopyButton text={address()} what="a link to this search" label="Copy link" />
        </div>
      </div>
      {error && error.parameter !== "q" && <ErrorNote error={error} onRetry={again} shown={found?.at} />}
      {!found && loading && <Loading what="traces" />}
      {found && (
        <div class={loading && !live ? "stack loading" : "stack"}>
          {found.news ? (
            <p class="soft">
              {showCount(found.news.total)} in the last minute{found.news.leftOut > 0 && `; they come faster than they can be shown: the latest of them are here, ${showCount(found.news.leftOut)} are not`}
            </p>
          ) : (
            <p class="soft" role="status">
              {found.first.totalIsExact ? "" : "At least "}{showCount(found.first.total)} {found.first.total === 1 ? "trace" : "traces"}
            </p>
          )}
          {!found.first.complete && found.first.incompleteBecause && <Incomplete reason={found.first.incompleteBecause} />}
          {found.traces.length ? (
            <>
              <Scatter traces={found.traces} range={found.range} />
              <Hits traces={found.traces} />
              {found.nextCursor && (
                <button type="button" class="button" onClick={more} disabled={loading}>
                  More
                </button>
              )}
            </>
          ) : <Nothing />}
        </div>
      )}
    </div>
  );
}

function Nothing() {
  const isFiltered = parameter("q") !== "" || activeFilters().length > 0;
  return (
    <Empty title="No trace fits">
      {isFiltered ? (
        <p>
          Try a longer time range, or <a href={linkTo("/search")}>search without conditions</a>.
        </p>
      ) : (
        <>
          <p>Nothing was stored in this time range. Choose a longer one above, or send spans.</p>
          <SendSpans />
        </>
      )}
    </Empty>
  );
}

import type { Schemas } from "../../api/client";
import { linkTo, parameter, setParameters } from "../../app/location";
import { showAge } from "../../time/moment";
import { showTime } from "../../time/range";
import { serviceColor } from "../../ui/colors";
import { showCount, showDuration, showName } from "../../ui/format";

type Hit = Schemas["Traces"]["traces"][number];

const SERVICES = 4;

export function Hits({ traces }: { traces: readonly Hit[] }) {
  const longest = Math.max(...traces.map((hit) => Number(hit.durationNanos)), 1);
  const left = parameter("compare");
  return (
    <div class="scroll-x">
      <table class="data hits">
        <caption class="visually-hidden">Traces that fit</caption>
        <thead>
          <tr>
            <th scope="col">Trace</th>
            <th scope="col">Started</th>
            <th scope="col">Duration</th>
            <th scope="col" class="number">Spans</th>
            <th scope="col" class="number">Errors</th>
            <th scope="col">Services</th>
            <th scope="col"><span class="visually-hidden">Compare</span></th>
          </tr>
        </thead>
        <tbody>
          {traces.map((hit) => <Row key={hit.traceId} hit={hit} longest={longest} left={left} />)}
        </tbody>
      </table>
    </div>
  );
}

function Row({ hit, longest, left }: { hit: Hit; longest: number; left: string }) {
  const start = BigInt(hit.startTimeUnixNano);
  const first = hit.matchedSpans[0];
  return (
    <tr>
      <td>
        <span class="dot" style={{ background: serviceColor(hit.rootService ?? "") }} />{" "}
        <a class="name" href={linkTo(`/trace/${hit.traceId}`)}>
          {hit.rootService === null ? "(the root has not come)" : <><bdi>{showName(hit.rootService)}</bdi>: <bdi>{showName(hit.rootName)}</bdi></>}
        </a>
        {first && (parameter("q") !== "" || parameter("operation") !== "") && (
          <div class="soft">
            {showCount(hit.matchedSpanCount)} {hit.matchedSpanCount === 1 ? "span fits" : "spans fit"}, first{" "}
            <a href={linkTo(`/trace/${hit.traceId}`, { span: first.spanId })}><b>{showName(first.service)}</b> {showName(first.name)}</a> ({showDuration(first.durationNanos)})
          </div>
        )}
      </td>
      <td class="when" title={showTime(start)}>{showAge(start)}</td>
      <td class="when">
        <span class="spark" style={{ "--share": Number(hit.durationNanos) / longest }} aria-hidden="true" /> {showDuration(hit.durationNanos)}
      </td>
      <td class="number">{showCount(hit.spanCount)}</td>
      <td class="number">{hit.errorCount ? <span class="badge error">{showCount(hit.errorCount)}</span> : "0"}</td>
      <td class="hit-services">
        {hit.services.slice(0, SERVICES).map((service) => (
          <span key={service} class="row legend inline"><span class="dot" style={{ background: serviceColor(service) }} /> <span class="name">{showName(service)}</span></span>
        ))}
        {hit.services.length > SERVICES && <span class="soft">+{hit.services.length - SERVICES}</span>}
      </td>
      <td>
        {left && left !== hit.traceId
          ? <a href={linkTo("/compare", { left, right: hit.traceId })}>Compare with the chosen</a>
          : <button type="button" class="button plain" aria-pressed={left === hit.traceId} onClick={() => setParameters({ compare: left === hit.traceId ? null : hit.traceId }, true)}>Compare</button>}
      </td>
    </tr>
  );
}

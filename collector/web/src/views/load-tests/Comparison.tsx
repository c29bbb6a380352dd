// How a run differs from another one.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { nameInWords } from "../../objects/shape";
import { showSecond } from "../../time/range";
import { showDuration, showRate, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";

type Figure = Schemas["LoadTestComparison"]["figures"][number];

export function Comparison({ run, base }: { run: string; base: string }) {
  const answer = useAnswer<Schemas["LoadTestComparison"]>(inWorkspace(`load-test-runs/${encodeURIComponent(run)}/comparison`), { query: { base } });
  const { data } = answer;
  if (!data) return <AnswerNote of={answer} what="the comparison" />;
  return (
    <section class="stack">
      <AnswerNote of={answer} what="the comparison" />
      <div class="row">
        <a class="button" href={linkTo("/load-tests", { tab: "runs", run })}>← The run</a>
        <h2 class="title">{data.other.name}, beside {data.base.name === data.other.name ? "an earlier run" : data.base.name}</h2>
      </div>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="How the runs differ">
        <table class="data run-table">
          <caption class="visually-hidden">How the runs differ</caption>
          <thead>
            <tr>
              <th scope="col">Figure</th>
              {[data.base, data.other].map((each) => (
                <th key={each.id} scope="col" class="number"><a href={linkTo("/load-tests", { tab: "runs", run: each.id })}>{showSecond(BigInt(each.startedAtUnixNano))}</a></th>
              ))}
              <th scope="col" class="number">Change</th>
            </tr>
          </thead>
          <tbody>
            {data.figures.map((figure) => (
              <tr key={figure.figure}>
                <td>{figure.figure.split(".").map(nameInWords).join(", ")}</td>
                <td class="number">{shown(figure, figure.base)}</td>
                <td class="number">{shown(figure, figure.other)}</td>
                <td class="number">{figure.change === null ? "–" : `${figure.change > 0 ? "+" : ""}${(figure.change * 100).toFixed(1)} %`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function shown({ unit }: Figure, value: number | null): string {
  if (value === null) return "–";
  return unit === "ns" ? showDuration(value) : unit === "1/s" ? showRate(value) : showShare(value);
}

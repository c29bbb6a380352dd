"""What taking in a span costs: spanhouse beside the floor, the plain way and rotel, in one run on one machine.

    python bench/ingest.py [--quick] [--load NAME ...] [--contender NAME ...]

Absolute figures depend on the machine; the ratios last. See bench/README.md for what is measured and how.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.contenders import CONTENDERS, Contender
from bench.loads import LOADS, Load
from bench.measure import Cost, MeasurementError, Sender, SinkServer, check_rows, measure

REPETITIONS = 3
TARGETS = {
    # load: (at most so many times the floor, at most this part of rotel)
    "spans-512": (2.5, 0.25),
    "real-traces": (2.5, 0.25),
    "one-span": (2.0, None),
}


@dataclass(frozen=True, slots=True)
class Result:
    """The median of a contender's repetitions on one load, or why there is none."""

    contender: str
    load: Load
    costs: tuple[Cost, ...] = ()
    error: str = ""

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per span, or per request where that is the load's unit."""
        if self.load.unit == "request":
            return median(cost.cpu_us_per_request for cost in self.costs)
        return median(cost.cpu_us_per_span for cost in self.costs)

    @property
    def spread(self) -> float:
        """Largest over smallest CPU time of the repetitions."""
        return max(cost.cpu_s for cost in self.costs) / min(cost.cpu_s for cost in self.costs)

    @property
    def spans_per_second(self) -> float:
        """Spans per second of wall time."""
        return median(cost.spans_per_second for cost in self.costs)


def run_load(load: Load, contenders: Sequence[Contender], sink: SinkServer, *, repetitions: int, requests: int) -> list[Result]:
    """Measure one load with every contender that takes it, repetitions interleaved."""
    results: dict[str, Result] = {}
    costs: dict[str, list[Cost]] = {}
    with ExitStack() as stack:
        entrants: list[tuple[Contender, Sender]] = []
        for contender in contenders:
            if load.name not in contender.loads:
                results[contender.name] = Result(contender.name, load, error="does not take this load")
                continue
            sender = stack.enter_context(Sender(contender, load))
            try:
                # Opens the connections and makes everything warm.
                measure(contender, sender, sink, load, max(requests // 4, 1))
            except MeasurementError as error:
                results[contender.name] = Result(contender.name, load, error=str(error))
                continue
            entrants.append((contender, sender))
        for repetition in range(repetitions):
            # Each repetition begins with another contender, so that none always runs on a cool machine.
            first = repetition % len(entrants) if entrants else 0
            for contender, sender in entrants[first:] + entrants[:first]:
                costs.setdefault(contender.name, []).append(measure(contender, sender, sink, load, requests))
        for contender, sender in entrants:
            found = Result(contender.name, load, tuple(costs[contender.name]))
            if contender.writes:
                surplus = check_rows(contender, sender, sink, load, min(requests, len(load.spans())))
                found = replace(found, error=f"{surplus:+d} rows at the sink" if surplus else "")
            results[contender.name] = found
    return [results[contender.name] for contender in contenders]


def table(results: Sequence[Result]) -> str:
    """The report of all loads."""
    heads = f"{'load':<12} {'contender':<10} {'CPU µs':>8} {'per':<8} {'spans/s':>9} {'/ floor':>8} {'/ rotel':>8} {'spread':>7}"
    lines = [f"{heads}  target"]
    for load in dict.fromkeys(result.load.name for result in results):
        of_load = [result for result in results if result.load.name == load]
        by_name = {result.contender: result for result in of_load if result.costs}
        for result in of_load:
            if not result.costs:
                lines.append(
                    f"{load:<12} {result.contender:<10} {'—':>8} {'':<8} {'—':>9} {'—':>8} {'—':>8} {'':>7}  {result.error}"
                )
                continue
            ratios = [
                f"{result.cpu_us / by_name[other].cpu_us:.2f}" if other in by_name and other != result.contender else "—"
                for other in ("floor", "rotel")
            ]
            note = "; ".join(filter(None, (_verdict(result, by_name), result.error)))
            lines.append(
                f"{load:<12} {result.contender:<10} {result.cpu_us:>8.2f} {result.load.unit:<8} {result.spans_per_second:>9,.0f} "
                f"{ratios[0]:>8} {ratios[1]:>8} {result.spread:>7.2f}  {note}".rstrip()
            )
    return "\n".join(lines)


def _verdict(result: Result, by_name: dict[str, Result]) -> str:
    """Spanhouse's targets on this load, and whether each is met."""
    if result.contender != "spanhouse" or result.load.name not in TARGETS:
        return ""
    verdicts = []
    for other, limit in zip(("floor", "rotel"), TARGETS[result.load.name], strict=True):
        if limit is not None and other in by_name:
            met = result.cpu_us <= limit * by_name[other].cpu_us
            verdicts.append(f"≤ {limit:g} of {other}: {'met' if met else 'MISSED'}")
    return ", ".join(verdicts)


def main() -> None:
    """Run the loads asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repetition of a quarter of the requests")
    parser.add_argument("--load", action="append", choices=LOADS, help="only this load; may be repeated")
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="only this contender; may be repeated")
    arguments = parser.parse_args()
    results: list[Result] = []
    with TemporaryDirectory(prefix="spanhouse-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        sink = stack.enter_context(SinkServer(directory))
        contenders = []
        for chosen in arguments.contender or CONTENDERS:
            contender = CONTENDERS[chosen](directory, sink.port)
            if contender is None:
                print(f"{chosen} is not installed and takes no part")
                continue
            stack.enter_context(contender.process)
            contenders.append(contender)
        for chosen in arguments.load or LOADS:
            load = LOADS[chosen]
            requests = max(load.requests // 4, 1) if arguments.quick else load.requests
            results += run_load(load, contenders, sink, repetitions=1 if arguments.quick else REPETITIONS, requests=requests)
    print(table(results))


if __name__ == "__main__":
    main()

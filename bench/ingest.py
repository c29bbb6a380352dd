"""What taking in a span costs: spanhouse beside the floor, the plain way and rotel, in one run on one machine.

    python bench/ingest.py [--quick] [--load NAME ...] [--contender NAME ...]

Two names beside the loads: `embedded`, the daemon with its embedded engine against that engine alone, and `footprint`, what the
daemon takes to start, in memory, and when idle.

Absolute figures depend on the machine; the ratios last. See bench/README.md for what is measured and how.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import embedded, footprint
from bench.contenders import CONTENDERS, Contender
from bench.loads import LOADS, Load
from bench.measure import Cost, MeasurementError, Sender, SinkServer, check_rows, measure

REPETITIONS = 3
QUICK_SHARE = 0.25
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


class Entrant:
    """A contender on one load: its sender, and what was found of it up to the first error."""

    def __init__(self, contender: Contender, load: Load, sink: SinkServer, share: float) -> None:
        self.contender = contender
        self.requests = load.scaled(share * contender.share)
        self.sender = Sender(contender, load)
        self._load = load
        self._sink = sink
        self._costs: list[Cost] = []
        self._error = ""

    def run(self, *, counts: bool = True) -> None:
        """One measurement; one that does not count, of a quarter of the requests, makes everything warm."""
        if self._error:
            return
        try:
            requests = self.requests if counts else max(self.requests // 4, 1)
            cost = measure(self.contender, self.sender, self._sink, self._load, requests)
        except MeasurementError as error:
            self._error = str(error)
            return
        if counts:
            self._costs.append(cost)

    def result(self) -> Result:
        """What was found, after a check that every span of each body arrives at the sink once."""
        if not self._error and self.contender.writes:
            surplus = check_rows(self.contender, self.sender, self._sink, self._load)
            self._error = f"{surplus:+d} rows at the sink" if surplus else ""
        return Result(self.contender.name, self._load, tuple(self._costs), self._error)


def run_load(load: Load, contenders: Sequence[Contender], sink: SinkServer, *, repetitions: int, share: float) -> list[Result]:
    """Measure one load with every contender that takes it, repetitions interleaved."""
    absent = [
        Result(contender.name, load, error="does not take this load")
        for contender in contenders
        if load.name not in contender.loads
    ]
    with ExitStack() as stack:
        entrants = [Entrant(contender, load, sink, share) for contender in contenders if load.name in contender.loads]
        for entrant in entrants:
            stack.enter_context(entrant.sender)
            entrant.run(counts=False)
        for repetition in range(repetitions):
            # Each repetition begins with another contender, so that none always runs on a cool machine.
            first = repetition % max(len(entrants), 1)
            for entrant in entrants[first:] + entrants[:first]:
                entrant.run()
        return [entrant.result() for entrant in entrants] + absent


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


def run_loads(directory: Path, names: Sequence[str], contenders: Sequence[str], *, quick: bool) -> list[Result]:
    """Start the contenders, all at once, and measure each load with them."""
    results: list[Result] = []
    with ExitStack() as stack:
        sink = stack.enter_context(SinkServer(directory))
        entrants = []
        for chosen in contenders:
            contender = CONTENDERS[chosen](directory, sink.port)
            if contender is None:
                print(f"{chosen} is not installed and takes no part")
                continue
            stack.enter_context(contender.process)
            entrants.append(contender)
        for name in names:
            results += run_load(
                LOADS[name], entrants, sink, repetitions=1 if quick else REPETITIONS, share=QUICK_SHARE if quick else 1.0
            )
    return results


def main() -> None:
    """Run what is asked for and print one table, then a line for each of the rest."""
    names = [*LOADS, "embedded", "footprint"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repetition of a quarter of the requests")
    parser.add_argument("--load", action="append", choices=names, help="only this; may be repeated")
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="only this contender; may be repeated")
    arguments = parser.parse_args()
    quick, chosen = arguments.quick, arguments.load or names
    loads = [name for name in chosen if name in LOADS]
    with TemporaryDirectory(prefix="spanhouse-bench-") as name:
        directory = Path(name)
        if loads:
            print(table(run_loads(directory, loads, arguments.contender or list(CONTENDERS), quick=quick)))
        if "embedded" in chosen:
            requests, repetitions = (150, 1) if quick else (600, REPETITIONS)
            print(embedded.report(embedded.compare(directory, requests=requests, repetitions=repetitions)))
        if "footprint" in chosen:
            load_seconds, idle_seconds = (10.0, 5.0) if quick else (footprint.LOAD_SECONDS, footprint.IDLE_SECONDS)
            print(footprint.report(footprint.watch(directory, load_seconds=load_seconds, idle_seconds=idle_seconds)))


if __name__ == "__main__":
    main()

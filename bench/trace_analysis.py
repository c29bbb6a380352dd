"""What the analysis of one large trace costs: seconds of CPU for its view (adjusters, tree, clocks), waterfall and paths.

    python bench/trace_analysis.py [--spans N] [--repetitions N]

Three shapes (`tests/support/shapes.py`): every span below the one before; all below one root; and a chain of which each span has
a short child besides. Reading the trace from the store and writing JSON are not in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Final

from bench.stages import cpu_seconds
from collector.memory import spare_the_collector
from collector.query.analysis.completion_path import find_completion_path
from collector.query.analysis.crisp_path import find_crisp_paths
from collector.query.analysis.critical_path import find_critical_path
from collector.query.analysis.jaeger_path import find_jaeger_path
from collector.query.skeleton import Skeleton
from collector.query.view import View, view_of
from collector.query.waterfall import build_waterfall
from tests.support.shapes import chain, comb, star
from tests.support.stored import Drawn, draw

SPANS: Final = 100_000
REPETITIONS: Final = 3


SHAPES: Final[dict[str, Callable[[int], list[Drawn]]]] = {
    "chain": chain,
    "star": lambda count: star(count - 1),
    "comb": lambda count: comb(count // 2),
}
STEPS: Final[dict[str, Callable[[View], object]]] = {
    "waterfall": lambda view: build_waterfall(view.spans, view.tree),
    "default": lambda view: find_critical_path(view.spans, view.tree),
    "completion": lambda view: find_completion_path(view.spans, view.tree),
    "jaeger": lambda view: find_jaeger_path(view.spans, view.tree),
    "crisp": lambda view: find_crisp_paths(view.spans, view.tree),
}


def measure(spans: Skeleton, repetitions: int) -> list[float]:
    """Seconds of the view and of each of `STEPS`."""
    view = view_of(spans)
    return [
        cpu_seconds(lambda: view_of(spans), repetitions),
        *(cpu_seconds(partial(step, view), repetitions) for step in STEPS.values()),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=SPANS)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    arguments = parser.parse_args()
    print(f"{arguments.spans:,} spans; s of CPU\n{'':6}" + "".join(f"{name:>12}" for name in ("view", *STEPS)))
    for name, shape in SHAPES.items():
        spans = draw(shape(arguments.spans))
        # As in the daemon, what was there before is no work of the garbage collector.
        spare_the_collector()
        print(f"{name:6}" + "".join(f"{seconds:>12.2f}" for seconds in measure(spans, arguments.repetitions)), flush=True)


if __name__ == "__main__":
    main()

"""What conditions cost: microseconds of CPU per thousand spans, each alone and five of them as the processor `filter` has them.

    python bench/ottl.py [--spans N] [--repetitions N]

Beside each stands what an interpreter of the same conditions takes for one span after the other as protobuf objects, which are
parsed already.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Final

from bench.stages import cpu_seconds
from collector.processors.filter import Filter
from collector.processors.ottl.evaluate import Evaluator, attribute_keys
from collector.processors.ottl.fields import Fields
from config.filtering import FilterProcessor
from config.ottl import Condition, read_condition
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support import ottl_oracle
from tests.support.requests import generated_request

SPANS: Final = 100_000
REPETITIONS: Final = 7
SPANS_OF_A_REQUEST: Final = 512

CONDITIONS: Final = (
    'span.attributes["http.route"] == "/healthz"',
    'span.attributes["url.path"] == "/healthz"',
    'IsMatch(span.name, "^(GET|HEAD) /internal/")',
    'resource.attributes["service.name"] == "load-tester"',
    'span.attributes["http.route"] == "/ping" and span.status.code != STATUS_CODE_ERROR',
    'span.attributes["http.response.status_code"] >= 500',
    'Int(span.attributes["http.response.status_code"]) >= 400',
    'span.end_time - span.start_time < Duration("2ms")',
    "IsRootSpan()",
    'HasPrefix(span.name, "SELECT ")',
)
FIVE: Final = (
    'attributes["http.route"] == "/healthz"',
    'IsMatch(name, "^(GET|HEAD) /internal/")',
    'resource.attributes["service.name"] == "load-tester"',
    'kind == SPAN_KIND_INTERNAL and end_time - start_time < Duration("1ms")',
    'attributes["server.address"] == "localhost" and status.code != STATUS_CODE_ERROR',
)
"""What a filter usually has."""


def evaluate(batch: SpanBatch, conditions: Sequence[Condition]) -> None:
    """All conditions, on columns that are made anew."""
    evaluator = Evaluator(Fields(batch, attribute_keys(conditions)))
    for condition in conditions:
        evaluator.evaluate(condition)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=SPANS)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    arguments = parser.parse_args()
    messages = [generated_request(seed=seed) for seed in range(-(-arguments.spans // SPANS_OF_A_REQUEST))]
    batch = concatenate([decode(message.SerializeToString()).batch for message in messages])
    few = list(ottl_oracle.spans(messages[0]))
    print(f"{len(batch):,} spans; µs of CPU per thousand spans\n{'columns':>10} {'plain':>10}")

    def row(text: str, conditions: Sequence[Condition], columns_s: float) -> None:
        def plainly() -> None:
            for subject in few:
                for condition in conditions:
                    ottl_oracle.verdict(condition.root, subject)

        plain_s = cpu_seconds(plainly, arguments.repetitions)
        print(f"{columns_s / len(batch) * 1e9:>10.1f} {plain_s / len(few) * 1e9:>10.0f}  {text}")

    for text in CONDITIONS:
        conditions = [read_condition(text, "span")]
        row(text, conditions, cpu_seconds(partial(evaluate, batch, conditions), arguments.repetitions))
    settings = FilterProcessor.model_validate({"traces": {"span": list(FIVE)}})
    five = Filter(settings)
    row("five conditions in a filter", settings.traces.span, cpu_seconds(lambda: five.process(batch), arguments.repetitions))


if __name__ == "__main__":
    main()

"""What is allowed in a configuration and hardly meant: an order that hides spans or secrets, rules that never do anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from config.advice_on_actions import advise_on_actions
from config.advice_on_conditions import Advice, advise_on_filter, drops_all
from config.advice_on_leftovers import advise_on_leftovers
from config.advice_on_statements import advise_on_statements
from config.advice_on_traces import advise_on_traces
from config.alerting import AlertingExtension
from config.attribute_actions import AttributesProcessor, ResourceProcessor
from config.document import Document
from config.filtering import FilterProcessor
from config.limits import LimitsProcessor
from config.memory_limit import MemoryLimiterProcessor
from config.model import Config
from config.problems import KeyPath, Problem, key_path
from config.red_metrics import RedMetricsProcessor
from config.redaction import RedactionProcessor
from config.sampling import ProbabilisticSampler
from config.section import Section
from config.span_names import SpanProcessor
from config.tail_sampling import TailSamplingProcessor
from config.topology import TopologyProcessor
from config.transforming import TransformProcessor

_ORDER: Final[KeyPath] = ("service", "pipelines", "traces", "processors")
_COUNTING: Final = (RedMetricsProcessor, TopologyProcessor)
_CHANGING: Final = (AttributesProcessor, ResourceProcessor, SpanProcessor, TransformProcessor)
_LEAST_MIB: Final = 256
"""Somewhat more than the process takes before the first span comes."""
_SAMPLING: Final = (ProbabilisticSampler, TailSamplingProcessor)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Two processors, of which the first is not good before the second, and why."""

    before: tuple[type[Section], ...]
    behind: tuple[type[Section], ...]
    because: str


_RULES: Final = (
    _Rule(_SAMPLING, _COUNTING, "it counts what {before} has left, not all spans"),
    _Rule(_COUNTING, (RedactionProcessor,), "{before} has stored names and attributes by then that {behind} would have hidden"),
    _Rule(_COUNTING, _CHANGING, "{before} has counted by names and attributes as they were before"),
    _Rule((LimitsProcessor,), (RedactionProcessor,), "{before} may have cut a secret in two, which no longer looks like one"),
    _Rule((TailSamplingProcessor,), (RedactionProcessor,), "{before} has kept on disk what {behind} would have hidden"),
)


def advise(config: Config, document: Document) -> tuple[Problem, ...]:
    """Everything that a configuration, which can be used, had better not say, in the order of the file."""
    found = [*_order(config), *_samplers(config), *_nothing_left(config), *_alerting(config)]
    found += advise_on_leftovers(config, document)
    for name, processor in config.processors.items():
        at = ("processors", name)
        match processor:
            case MemoryLimiterProcessor():
                found += _memory(processor, at)
            case FilterProcessor():
                found += advise_on_filter(processor, at)
            case TransformProcessor():
                found += advise_on_statements(processor, at, document)
            case TailSamplingProcessor():
                found += advise_on_traces(processor, at)
            case AttributesProcessor():
                found += advise_on_actions(processor.actions, (*at, "actions"))
            case ResourceProcessor():
                found += advise_on_actions(processor.attributes, (*at, "attributes"))
    problems = [Problem(key_path(path), document.line(path), message, hint) for path, message, hint in found]
    return tuple(sorted(problems, key=lambda problem: problem.line))


def _order(config: Config) -> Iterator[Advice]:
    names = config.service.pipelines.traces.processors
    for place, name in enumerate(names):
        for rule in _RULES:
            if not isinstance(config.processors[name], rule.behind):
                continue
            first = next((other for other in names[:place] if isinstance(config.processors[other], rule.before)), None)
            if first is not None:
                because = rule.because.format(before=first, behind=name)
                yield (*_ORDER, place), f"{name} stands behind {first}: {because}", f"put {name} before {first}"


def _samplers(config: Config) -> Iterator[Advice]:
    """A hash of the seed takes what was sampled already for an error."""
    names = config.service.pipelines.traces.processors
    before = ""
    for place, name in enumerate(names):
        processor = config.processors[name]
        if not isinstance(processor, ProbabilisticSampler):
            continue
        if before and processor.mode == "hash_seed":
            becomes = "drops everything" if processor.fail_closed else "lets everything pass"
            message = f"{name} stands behind {before}, and with mode: hash_seed {becomes} that was sampled before"
            yield (*_ORDER, place), message, "use mode: proportional"
        before = before or name


def _nothing_left(config: Config) -> Iterator[Advice]:
    """Processors behind one that drops every span."""
    names = config.service.pipelines.traces.processors
    for place, name in enumerate(names):
        processor = config.processors[name]
        if isinstance(processor, ProbabilisticSampler) and processor.sampling_percentage == 0:
            message = f"{name} drops every span, but those whose attribute sampling.priority is above 0"
            yield ("processors", name), message, "set sampling_percentage"
        if isinstance(processor, FilterProcessor) and drops_all(processor) and place + 1 < len(names):
            others = ", ".join(names[place + 1 :])
            yield (*_ORDER, place), f"{name} drops every span: nothing is left for {others}", ""


def _alerting(config: Config) -> Iterator[Advice]:
    """Rules would find nothing, and take every service for absent."""
    names = config.service.pipelines.traces.processors
    if any(isinstance(config.processors[name], RedMetricsProcessor) for name in names):
        return
    for place, name in enumerate(config.service.extensions):
        if isinstance(config.extensions[name], AlertingExtension):
            message = f"{name} measures what red_metrics counts, which is not in the pipeline of this collector"
            yield ("service", "extensions", place), message, "add red_metrics, unless other collectors have it"


def _memory(limiter: MemoryLimiterProcessor, at: KeyPath) -> Iterator[Advice]:
    """A limit that is reached before the first span comes."""
    refusing_from_mib = limiter.limits(0)[0] >> 20
    if limiter.limit_mib and refusing_from_mib < _LEAST_MIB:
        message = f"refuses requests from {refusing_from_mib} MiB on, which the process takes without any spans"
        yield (*at, "limit_mib"), message, f"set {2 * _LEAST_MIB} or more"

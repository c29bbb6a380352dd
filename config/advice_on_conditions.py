"""What conditions say that is hardly meant: that they hold for everything or nothing, or look in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from config.fates import conjuncts, fate, fate_of_any
from config.filtering import FilterProcessor
from config.ottl_nodes import Condition, Level, Node, Path, parts
from config.problems import KeyPath

Advice = tuple[KeyPath, str, str]
"""Where something stands, what is to be said of it, and what to do."""

_OF_RESOURCES: Final = (
    *("service.name", "service.namespace", "service.version", "service.instance.id", "host.name", "deployment.environment"),
    *("deployment.environment.name", "k8s.namespace.name", "k8s.pod.name", "k8s.cluster.name", "telemetry.sdk.language"),
)
"""Attributes that resources have, by OpenTelemetry's conventions, and spans have not."""


def drops_all(settings: FilterProcessor) -> bool:
    """Whether a filter drops every span, whatever comes."""
    return fate_of_any(condition.root for _, condition in on_spans(settings)) == "always"


def on_spans(settings: FilterProcessor) -> list[tuple[KeyPath, Condition]]:
    """A filter's conditions on spans, and where each stands within the filter."""
    return [(place, condition) for place, condition in _all(settings) if condition.level is Level.SPAN]


def _all(settings: FilterProcessor) -> list[tuple[KeyPath, Condition]]:
    return [
        *((("traces", "span", place), each) for place, each in enumerate(settings.traces.span)),
        *((("traces", "spanevent", place), each) for place, each in enumerate(settings.traces.spanevent)),
        *((("trace_conditions", place), each) for place, each in enumerate(settings.trace_conditions)),
    ]


def advise_on_filter(settings: FilterProcessor, at: KeyPath) -> Iterator[Advice]:
    """What is to be said of a filter."""
    seen: list[tuple[KeyPath, Condition]] = []
    for place, condition in _all(settings):
        yield from misplaced(condition.root, (*at, *place))
        match fate(condition.root):
            case "never":
                yield (*at, *place), "can never hold, so it drops nothing", ""
            case "always":
                what = "event" if condition.level is Level.EVENT else "span"
                yield (
                    (*at, *place),
                    f"always holds, so every {what} is dropped",
                    "a condition says what to drop, not what to keep",
                )
            case None:
                yield from _covered(condition, seen, (*at, *place))
        seen.append((place, condition))
    spans = on_spans(settings)
    if drops_all(settings) and all(fate(condition.root) is None for _, condition in spans):
        yield (*at, *spans[-1][0]), "together with those before it, it drops every span", ""


def _covered(condition: Condition, before: Sequence[tuple[KeyPath, Condition]], at: KeyPath) -> Iterator[Advice]:
    """Something that one of the conditions before has dropped already."""
    wanted = conjuncts([condition.root])
    for place, other in before:
        if other.level is condition.level and all(part in wanted for part in conjuncts([other.root])):
            yield at, f"drops nothing that {written(place)} has left", "leave it out"
            return


def written(place: KeyPath) -> str:
    """A place as messages name it, short."""
    *keys, number = place
    return f"{keys[-1]}[{number}]" if keys else str(number)


def misplaced(node: Node, at: KeyPath) -> Iterator[Advice]:
    """Attributes that a rule looks for on spans, where resources have them."""
    for part in parts(node):
        if isinstance(part, Path) and part.level is Level.SPAN and part.name == "attributes" and part.key in _OF_RESOURCES:
            message = f"looks for {part.key} among the attributes of spans, where it hardly ever is"
            yield at, message, f'write resource.attributes["{part.key}"]'

"""Rules that are about spans which a filter before them has dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from config.advice_on_conditions import Advice, on_spans
from config.attribute_actions import AttributesProcessor, ResourceProcessor
from config.document import Document
from config.fates import conjuncts
from config.filtering import FilterProcessor
from config.model import Config
from config.ottl_nodes import Level, Node, Path, parts
from config.redaction import RedactionProcessor
from config.section import Section
from config.span_names import SpanProcessor
from config.transforming import TransformProcessor

_Field = tuple[Level, str]
_ATTRIBUTES_OF_SPANS: _Field = (Level.SPAN, "attributes")
_ATTRIBUTES_OF_RESOURCES: _Field = (Level.RESOURCE, "attributes")


def advise_on_leftovers(config: Config, document: Document) -> Iterator[Advice]:
    """What is to be said of conditions that hold only for spans of which no more come."""
    dropped: list[tuple[str, list[Node]]] = []
    for name in config.service.pipelines.traces.processors:
        processor = config.processors[name]
        at = ("processors", name)
        if isinstance(processor, FilterProcessor):
            for place, condition in on_spans(processor):
                yield from _found([condition.root], dropped, (*at, *place))
            dropped += [(name, conjuncts([condition.root])) for _, condition in on_spans(processor)]
        elif isinstance(processor, TransformProcessor):
            yield from _in_statements(processor, at, dropped, document)
        else:
            _forget(dropped, _changed_by(processor))


def _in_statements(
    settings: TransformProcessor, at: tuple[str, str], dropped: list[tuple[str, list[Node]]], document: Document
) -> Iterator[Advice]:
    for number, group in enumerate(settings.trace_statements):
        place = (*at, "trace_statements", number)
        is_group = (*place, "statements") in document.lines
        # Of several conditions one may hold.
        conditions = [condition.root for condition in group.conditions] if len(group.conditions) == 1 else []
        for position, statement in enumerate(group.statements):
            demands = [*conditions, *([] if statement.where is None else [statement.where])]
            yield from _found(demands, dropped, (*place, "statements", position) if is_group else place)
            _forget(dropped, [_field(statement.target)])


def _found(demands: Iterable[Node], dropped: Iterable[tuple[str, list[Node]]], at: tuple[str | int, ...]) -> Iterator[Advice]:
    wanted = conjuncts(demands)
    name = next((name for name, condition in dropped if all(part in wanted for part in condition)), None)
    if name is not None:
        yield at, f"is about spans that {name} has dropped before", f"leave it out, or put it before {name}"


def _forget(dropped: list[tuple[str, list[Node]]], changed: Iterable[_Field]) -> None:
    """Leave out conditions about fields that have changed since: there may be spans again for which they hold."""
    fields = set(changed)
    for entry in list(dropped):
        paths = (part for node in entry[1] for part in parts(node) if isinstance(part, Path))
        if any(_field(path) in fields for path in paths):
            dropped.remove(entry)


def _field(path: Path) -> _Field:
    """The field that a path is about, whatever the form in which it is looked at."""
    return path.level, path.name.partition(".")[0].removesuffix("_unix_nano")


def _changed_by(processor: Section) -> list[_Field]:
    match processor:
        case AttributesProcessor():
            return [_ATTRIBUTES_OF_SPANS]
        case ResourceProcessor():
            return [_ATTRIBUTES_OF_RESOURCES]
        case RedactionProcessor():
            return [_ATTRIBUTES_OF_SPANS, _ATTRIBUTES_OF_RESOURCES, (Level.SCOPE, "attributes")]
        case SpanProcessor():
            return [_ATTRIBUTES_OF_SPANS, (Level.SPAN, "name"), (Level.SPAN, "status")]
    return []

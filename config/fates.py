"""What can be told of a condition from its text alone: that it holds for everything, or for nothing.

Only what is certain is told, if no span has a kind or status that OTLP does not know. A path has one value, of any type or none,
and a comparison of values of different types is decided, too: `a < 5` is false of a text and of nil.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from config.ottl_nodes import Calculation, Call, Comparison, Constant, Logic, Negation, Node, Path, parts
from config.ottl_paths import RANGES

Fate = Literal["always", "never"]

_OPPOSITES: Final[dict[Any, Fate]] = {"always": "never", "never": "always", None: None}  # type: ignore[dict-item]  # the unknown stays so
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NUMBERS: Final = (int, float)
_ORDERED: Final = ("number", str, bytes)


def fate(node: Node) -> Fate | None:
    """What becomes of a condition; None where that depends on spans."""
    found = _fate(node)
    return None if found == "always" and any(map(_can_fail, parts(node))) else found


def _fate(node: Node) -> Fate | None:
    match node:
        case Constant(value=bool() as value):
            return "always" if value else "never"
        case Negation(term=term):
            return _OPPOSITES[fate(term)]
        case Comparison():
            return _fate_of_comparison(node)
        case Logic(operator="and", terms=terms):
            return fate_of_all(terms)
        case Logic(terms=terms):
            return fate_of_any(terms)
    return None


def fate_of_all(terms: Iterable[Node]) -> Fate | None:
    """What becomes of the conjunction of conditions."""
    demanded = conjuncts(terms)
    fates = [fate(part) for part in demanded]
    if "never" in fates or _contradict(demanded):
        return "never"
    return "always" if all(each == "always" for each in fates) else None


def fate_of_any(terms: Iterable[Node]) -> Fate | None:
    """What becomes of the disjunction of conditions."""
    flat = list(_flattened(terms, "or"))
    found = _OPPOSITES[fate_of_all([_negated(term) for term in flat])]
    return None if found == "always" and any(_can_fail(part) for term in flat for part in parts(term)) else found


def conjuncts(terms: Iterable[Node]) -> list[Node]:
    """All that must hold where these conditions hold."""
    return [_negated(part.term) if isinstance(part, Negation) else part for part in _flattened(terms, "and")]


def _flattened(terms: Iterable[Node], operator: str) -> Iterable[Node]:
    for term in terms:
        if isinstance(term, Logic) and term.operator == operator:
            yield from _flattened(term.terms, operator)
        else:
            yield term


def _negated(node: Node) -> Node:
    """The opposite of a condition, as a comparison where it is one."""
    if isinstance(node, Negation):
        return node.term
    if isinstance(node, Comparison) and node.operator in ("==", "!="):
        return replace(node, operator="!=" if node.operator == "==" else "==")
    return Negation(node.types, node.level, node.at, node)


def _can_fail(node: Node) -> bool:
    """Whether there may be spans for which a part cannot be worked out, so that neither a condition nor its opposite holds."""
    return isinstance(node, Call | Calculation) or (isinstance(node, Path) and bool(node.inside))


def _contradict(demanded: Sequence[Node]) -> bool:
    """Whether no span can be as all of these conditions want it."""
    for place, part in enumerate(demanded):
        opposite = _negated(part)
        if any(other == opposite for other in demanded[:place]):
            return True
        if isinstance(opposite, Logic) and opposite.operator == "and":
            if all(each in demanded for each in conjuncts(opposite.terms)):
                return True
    by_side: list[tuple[Node, list[tuple[str, Any]]]] = []
    for part in demanded:
        compared = _with_constant(part)
        if compared is None:
            continue
        side, operator, value = compared
        demands = next((demands for other, demands in by_side if other == side), None)
        if demands is None:
            by_side.append((side, [(operator, value)]))
        else:
            demands.append((operator, value))
    return any(_impossible(demands) for _, demands in by_side)


def _impossible(demands: Sequence[tuple[str, Any]]) -> bool:
    """Whether no value meets all of these demands."""
    wanted = [value for operator, value in demands if operator == "=="]
    if wanted:
        return not all(_holds(wanted[0], operator, value) for operator, value in demands)
    for operator, bound in demands:
        for other, limit in demands:
            if operator in (">", ">=") and other in ("<", "<="):
                if _kind(bound) != _kind(limit):
                    return True
                if _kind(bound) not in _ORDERED:
                    continue
                # Between two neighbouring ints there may still be a float.
                if bound > limit or (bound == limit and (operator, other) != (">=", "<=")):
                    return True
    return False


def _holds(value: Any, operator: str, other: Any) -> bool:
    """A comparison of two constants, as conditions compare."""
    if _kind(value) != _kind(other):
        return operator == "!="
    if value is None:
        return operator in ("==", "<=", ">=")
    if operator in ("==", "!="):
        return bool(value == other) == (operator == "==")
    if _kind(value) not in _ORDERED:
        return True  # that is not told
    return bool({"<": value < other, "<=": value <= other, ">": value > other, ">=": value >= other}[operator])


def _kind(value: Any) -> Any:
    return "number" if type(value) in _NUMBERS else type(value)


def _with_constant(node: Node) -> tuple[Node, str, Any] | None:
    """What is compared with a constant, how, and with which."""
    if not isinstance(node, Comparison):
        return None
    if isinstance(node.right, Constant):
        return node.left, node.operator, node.right.value
    if isinstance(node.left, Constant):
        return node.right, _TURNED[node.operator], node.left.value
    return None


def _fate_of_comparison(node: Comparison) -> Fate | None:
    compared = _with_constant(node)
    if compared is None:
        return "never" if node.left == node.right and node.operator in ("<", ">") else None
    side, operator, value = compared
    if isinstance(side, Constant):
        return "always" if _holds(side.value, operator, value) else "never"
    if isinstance(side, Path) and side.name in RANGES and isinstance(value, int):
        return _fate_in_range(operator, value, RANGES[side.name])
    return None


def _fate_in_range(operator: str, value: int, most: int) -> Fate | None:
    """A comparison of a field whose values are from 0 to `most`; what may be larger after all is not told."""
    bounded = most < 2**31
    if operator in ("==", "!="):
        outside = value < 0 or (bounded and value > most)
        return ("never" if operator == "==" else "always") if outside else None
    least = _holds(0, operator, value)
    if operator in (">", ">="):
        return "always" if least else "never" if bounded and not _holds(most, operator, value) else None
    return "never" if not least else "always" if bounded and _holds(most, operator, value) else None

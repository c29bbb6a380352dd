"""What types the parts of conditions and statements have together, and what to say where they do not go together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from config.ottl_nodes import Constant, Level, Node, Path, Type, Types
from config.ottl_paths import ENUMS, ENUMS_OF

NUMBERS: Final[Types] = frozenset({Type.INT, Type.FLOAT})
_TIMES: Final[Types] = frozenset({Type.TIME, Type.DURATION})


def highest(nodes: Iterable[Node]) -> Level:
    """The level of what some nodes make up."""
    return max((node.level for node in nodes), default=Level.CONSTANT)


def listed(types: Types) -> str:
    """Types as messages name them."""
    return " or ".join(sorted(types)) if len(types) < 4 else "an attribute"


def calculated(operator: str, left: Types, right: Types) -> Types:
    """What types the result can have; none where it cannot be calculated."""
    result = left & right & NUMBERS
    if operator == "-" and Type.TIME in left and Type.TIME in right:
        result |= {Type.DURATION}
    if operator in "+-" and Type.DURATION in right:
        result |= left & _TIMES
    if operator == "+" and Type.DURATION in left:
        result |= right & _TIMES
    return result


def remedy_of_comparison(left: Node, right: Node) -> str:
    """What to write instead of a comparison that always comes out the same; may be empty."""
    for path, other in ((left, right), (right, left)):
        if isinstance(path, Path) and path.name in ENUMS_OF:
            wanted = [name for name in ENUMS if name.startswith(ENUMS_OF[path.name])]
            said = str(other.value).upper() if isinstance(other, Constant) else ""
            meant = next((name for name in wanted if said and name.endswith(said)), "")
            return f"; did you mean {meant}?" if meant else f"; its values are {', '.join(wanted)}"
        if isinstance(path, Path) and path.name in ("start_time", "end_time", "time") and Type.INT in other.types:
            return f"; did you mean {path.name}_unix_nano?"
    if Type.DURATION in left.types | right.types:
        return '; write a duration as Duration("100ms")'
    return ""

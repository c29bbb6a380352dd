"""Statements in OTTL: read, and checked as conditions are. One is an editor with its arguments, and perhaps a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from lark import Token, Tree

from config.ottl import LEVELS, Context, Reader, prefixes
from config.ottl_calls import check_arguments, is_collection, signature_of
from config.ottl_editors import EDITORS, NAMING
from config.ottl_functions import FUNCTIONS, INT, STRING
from config.ottl_grammar import OttlError, read_words
from config.ottl_nodes import ATTRIBUTE, Constant, FunctionName, Level, Node, Path, Statement, Type
from config.ottl_paths import CACHE, FIELDS, PREFIXES, RANGES
from config.semconv_names import NAMING_KEYS, VERSIONS, is_known_version

__all__ = ["Statement", "read_flat_statement", "read_statement"]

_FOR_EVENTS: Final = ("set", "delete_key")
"""Editors with which events can change what they belong to: others would have to be done for one event after the other."""
_ONE: Final = {Level.RESOURCE: "resource", Level.SCOPE: "scope", Level.SPAN: "span"}


def read_statement(text: str, context: Context) -> Statement:
    """The statement that a text says. Raises OttlError for one that cannot be used."""
    return _read(text, read_words(text, "statement"), LEVELS[context], prefixed=False)


def read_flat_statement(text: str) -> Statement:
    """The statement that a text says whose paths all begin with what they are about, which tells what it is about itself.

    Raises OttlError as `read_statement`.
    """
    words = read_words(text, "statement")
    about = [PREFIXES[prefix] for prefix in prefixes(words) if prefix in PREFIXES]
    if _editor_of(words) == NAMING or any(call.children[0] == "IsRootSpan" for call in words.find_data("call")):
        about.append(Level.SPAN)
    return _read(text, words, max(about, default=Level.SPAN), prefixed=True)


def _read(text: str, words: Tree[Token], level: Level, *, prefixed: bool) -> Statement:
    reader = Reader(text, level, prefixed=prefixed, cached=True)
    editor, *conditions = cast("list[Tree[Token]]", words.children)
    word, *arguments = cast("list[Tree[Token]]", editor.children)
    name, at = str(word), editor.meta.start_pos
    signature = signature_of(text, at, name, EDITORS, {})
    placed = check_arguments(text, at, name, signature, [reader.argument(each, 0) for each in arguments])
    target, *others = _for_names(text, at, level, placed) if name == NAMING else placed
    if not isinstance(target, Path):
        raise OttlError(text, target.at if target else at, f"{name} changes a field of spans, as in span.name")
    _check_target(text, name, target, level)
    _check_values(text, at, name, target, others)
    where = reader.as_condition(reader.node(conditions[0], 0)) if conditions else None
    return Statement(text, level, name, target, tuple(others), where)


def _editor_of(words: Tree[Token]) -> str:
    """The name of a statement's editor."""
    editor, *_ = cast("list[Tree[Token]]", words.children)
    return str(editor.children[0])


def _for_names(text: str, at: int, level: Level, arguments: Sequence[Node | None]) -> list[Node | None]:
    """What names spans, as if it had been written: the name, where the one before it is kept, and what it is made of."""
    version, kept = arguments
    if level is not Level.SPAN:
        raise OttlError(text, at, f"{NAMING} names spans; put it into a group with context: span")
    if isinstance(version, Constant) and not is_known_version(version.value):
        raise OttlError(text, version.at, f"names are known of the semantic conventions {VERSIONS}")
    if isinstance(kept, Constant) and not kept.value:
        raise OttlError(text, kept.at, "originalSpanNameAttribute must not be empty")
    name, kind = (Path(types, Level.SPAN, at, field, "", ()) for field, types in (("name", STRING), ("kind", INT)))
    attributes = (Path(ATTRIBUTE, Level.SPAN, at, "attributes", key, ()) for key in NAMING_KEYS)
    before = Path(ATTRIBUTE, Level.SPAN, kept.at, "attributes", kept.value, ()) if isinstance(kept, Constant) else None
    return [name, before, kind, *attributes]


def _check_target(text: str, name: str, target: Path, level: Level) -> None:
    if target.name != CACHE and not FIELDS[target.level][target.name].settable:
        raise OttlError(text, target.at, f"{target.name} cannot be changed")
    if level is Level.EVENT and target.level < level and name not in _FOR_EVENTS:
        message = f"{name} cannot change a span for each of its events; put it into a group with context: span"
        raise OttlError(text, target.at, message)
    if target.types <= {Type.MAP} and target.name == CACHE and name == "set":
        raise OttlError(text, target.at, 'name a key, as in cache["key"], or use merge_maps')


def _check_values(text: str, at: int, name: str, target: Path, arguments: Sequence[Node | None]) -> None:
    """What holds for single editors."""
    for argument in arguments:
        if isinstance(argument, FunctionName):
            _check_function(text, argument)
    match name, arguments:
        case "set", [Node() as value]:
            _check_value(text, target, value)
        case "append", [None, None]:
            raise OttlError(text, at, "append needs value or values")
        case (("limit" | "truncate_all"), [Constant() as limit, *rest]):
            if limit.value < 0:
                raise OttlError(text, limit.at, "limit must not be negative")
            for keys in rest:
                _check_keys(text, keys)
                if isinstance(keys, Constant) and len(keys.value) > limit.value:
                    raise OttlError(text, keys.at, f"has {len(keys.value)} keys, more than the limit of {limit.value}")
        case "flatten", [_, Constant() as depth] if depth.value < 0:
            raise OttlError(text, depth.at, "depth must not be negative")
        case "keep_keys", [keys]:
            _check_keys(text, keys)
        case "stringify_all", _ if not is_collection(target):
            raise OttlError(text, target.at, "stringify_all takes all attributes together")
        case "merge_maps", [Path() as source, _] if is_collection(source) and not is_collection(target):
            raise OttlError(text, source.at, "all attributes together can only be merged into all attributes")
    for argument in arguments:
        if isinstance(argument, Path) and is_collection(argument) and argument.level > target.level:
            raise OttlError(text, argument.at, f"there are several for each {_ONE[target.level]}; name one of them by its key")


def _check_keys(text: str, keys: Node | None) -> None:
    if isinstance(keys, Constant) and not all(isinstance(key, str) for key in keys.value):
        raise OttlError(text, keys.at, 'keys are texts, as in ["service.name", "host.name"]')


def _check_function(text: str, named: FunctionName) -> None:
    signature = FUNCTIONS[named.function]
    first, *others = signature.parameters or (None,)
    if first is None or not first.types >= STRING or signature.result != STRING or not all(each.optional for each in others):
        raise OttlError(text, named.at, f"{named.function} does not make one text of another, as SHA256 does")


def _check_value(text: str, target: Path, value: Node) -> None:
    if target.name == CACHE or target.key or is_collection(target):
        wanted = target.types
    else:
        wanted = FIELDS[target.level][target.name].types
    if isinstance(value, Path) and is_collection(value) and not is_collection(target):
        raise OttlError(text, value.at, f'name one of them, as in {value.name}["key"], or use merge_maps')
    if not value.types & (wanted | {Type.NIL}):
        listed, found = (" or ".join(sorted(types)) for types in (wanted, value.types))
        listed = listed if len(wanted) < 4 else "what an attribute can be"
        raise OttlError(text, value.at, f"{target.name} takes {listed}, found {found}{_remedy(target, value)}")
    most = RANGES.get(target.name)
    if isinstance(value, Constant) and isinstance(value.value, int) and most is not None and not 0 <= value.value <= most:
        raise OttlError(text, value.at, f"{target.name} is from 0 to {most}")


def _remedy(target: Path, value: Node) -> str:
    if Type.TIME in value.types:
        return "; count its nanoseconds with UnixNano"
    if Type.DURATION in value.types:
        return "; count its units, as with Milliseconds"
    if target.name in ("kind", "status.code") and Type.STRING in value.types:
        return f"; write {'SPAN_KIND_SERVER' if target.name == 'kind' else 'STATUS_CODE_ERROR'} and the like, without quotes"
    return "; make a text of it with String" if Type.STRING in FIELDS[target.level][target.name].types else ""

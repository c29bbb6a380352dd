"""Conditions in OTTL, the OpenTelemetry Transformation Language: read, and checked against what spans have.

What cannot be meant is refused when the configuration is read: a field that does not exist, a text where a number is wanted, a
comparison that would always come out the same.
"""

from __future__ import annotations

from typing import Final, Literal, cast

from lark import Token, Tree

from config.ottl_calls import check_call, refuse_collection
from config.ottl_functions import FUNCTIONS
from config.ottl_grammar import OttlError, read_text, read_words
from config.ottl_nodes import (
    ATTRIBUTE,
    Calculation,
    Comparison,
    Condition,
    Constant,
    FunctionName,
    Items,
    Level,
    Logic,
    Negation,
    Node,
    Path,
    Type,
    Types,
)
from config.ottl_paths import CACHE, ENUMS, FIELDS, PREFIXES
from config.ottl_types import NUMBERS, calculated, highest, listed, remedy_of_comparison
from config.problems import nearest

Context = Literal["resource", "scope", "span", "spanevent"]
"""What a condition or a statement is about."""

LEVELS: Final = {"resource": Level.RESOURCE, "scope": Level.SCOPE, "span": Level.SPAN, "spanevent": Level.EVENT}
_MANY: Final = {Level.RESOURCE: "resources", Level.SCOPE: "scopes", Level.SPAN: "spans", Level.EVENT: "events"}

__all__ = ["Condition", "Context", "OttlError", "read_condition", "read_flat_condition"]

_DEEPEST: Final = 50
"""Parts within parts; more would not be understood by anybody, and bounds what a condition takes."""

_BOOL: Final[Types] = frozenset({Type.BOOL})
_LARGEST: Final = 2**63 - 1


def read_condition(text: str, context: Context) -> Condition:
    """The condition that a text says. Raises OttlError for one that cannot be used."""
    return Reader(text, LEVELS[context]).condition(read_words(text))


def read_flat_condition(text: str) -> Condition:
    """The condition that a text says whose paths all begin with what they are about. Raises OttlError as `read_condition`."""
    words = read_words(text)
    level = Level.EVENT if "spanevent" in prefixes(words) else Level.SPAN
    return Reader(text, level, prefixed=True).condition(words)


def prefixes(words: Tree[Token]) -> set[str]:
    """What the paths of a tree begin with."""
    return {str(_only(_only(path))) for path in words.find_data("path")}


def _only(tree: Tree[Token]) -> Tree[Token]:
    return cast("Tree[Token]", tree.children[0])


class Reader:
    """Turns a tree of words into nodes.

    Args:
        text: the condition or statement.
        level: what it is about, and paths without prefix.
        prefixed: whether all paths must have one.
        cached: whether it can look at what statements have kept.
    """

    def __init__(self, text: str, level: Level, *, prefixed: bool = False, cached: bool = False) -> None:
        self._text = text
        self._level = level
        self._prefixed = prefixed
        self._cached = cached

    def condition(self, words: Tree[Token]) -> Condition:
        """The condition of a whole tree."""
        return Condition(self._text, self._level, self.as_condition(self.node(_only(words), 0)))

    def node(self, tree: Tree[Token] | Token, depth: int) -> Node:
        """The node of a part of the tree."""
        if isinstance(tree, Token):
            return self._literal(tree)
        at = tree.meta.start_pos
        if depth > _DEEPEST:
            raise OttlError(self._text, at, f"more than {_DEEPEST} parts stand within each other")
        if len(tree.children) == 1 and tree.data not in ("list", "map", "path", "call", "editor"):
            # A level of precedence at which nothing happens, or parentheses.
            return self.node(tree.children[0], depth + (tree.data == "value"))
        match tree.data:
            case "either" | "both":
                terms = [self.as_condition(self.node(term, depth + 1)) for term in tree.children]
                return Logic(_BOOL, highest(terms), at, "or" if tree.data == "either" else "and", tuple(terms))
            case "not_":
                term = self.as_condition(self.node(tree.children[1], depth + 1))
                return Negation(_BOOL, term.level, at, term)
            case "comparison":
                left, operator, right = tree.children
                return self._comparison(self.node(left, depth + 1), cast("Token", operator), self.node(right, depth + 1))
            case "sum" | "product":
                return self._calculations(tree, depth)
            case "signed":
                return self._negative(cast("Token", tree.children[0]), self.node(tree.children[1], depth + 1))
            case "path":
                return self._path(tree)
            case "call":
                return self._call(tree, depth)
            case "editor":
                raise OttlError(self._text, at, f"{tree.children[0]} changes spans, which a condition cannot")
            case "list":
                items = [self.node(item, depth + 1) for item in tree.children]
                if all(isinstance(item, Constant) for item in items):
                    return Constant(frozenset({Type.LIST}), Level.CONSTANT, at, [cast("Constant", item).value for item in items])
                for item in items:
                    refuse_collection(self._text, item)
                return Items(frozenset({Type.LIST}), highest(items), at, tuple(items))
        return self._map(tree, depth)

    def as_condition(self, node: Node) -> Node:
        """The node, which must be something that holds or does not hold."""
        if isinstance(node, Path):
            raise OttlError(self._text, node.at, "is a value, not a condition; compare it, as in == true")
        if node.types != _BOOL:
            if Type.BOOL in node.types:
                raise OttlError(self._text, node.at, "may be something else than true or false; compare it, as in == true")
            raise OttlError(self._text, node.at, f"expected a condition, found {listed(node.types)}; compare it with something")
        return node

    def _literal(self, token: Token) -> Constant:
        at = token.start_pos or 0
        match token.type:
            case "INT":
                number = int(token)
                if number > _LARGEST:
                    raise OttlError(self._text, at, f"must be at most {_LARGEST}")
                return Constant(frozenset({Type.INT}), Level.CONSTANT, at, number)
            case "FLOAT":
                return Constant(frozenset({Type.FLOAT}), Level.CONSTANT, at, float(token))
            case "TEXT":
                return Constant(frozenset({Type.STRING}), Level.CONSTANT, at, read_text(self._text, token))
            case "BYTES":
                if len(token) % 2 or len(token) == 2:
                    raise OttlError(self._text, at, "must have two hexadecimal digits for each byte")
                return Constant(frozenset({Type.BYTES}), Level.CONSTANT, at, bytes.fromhex(token[2:]))
            case "BOOL":
                return Constant(_BOOL, Level.CONSTANT, at, str(token) == "true")
            case "NIL":
                return Constant(frozenset({Type.NIL}), Level.CONSTANT, at, None)
        if token not in ENUMS:
            raise self._unknown(at, f"{token} is not a known name of a number", str(token), ENUMS)
        return Constant(frozenset({Type.INT}), Level.CONSTANT, at, ENUMS[token])

    def _map(self, tree: Tree[Token], depth: int) -> Constant:
        entries = {}
        for entry in tree.children:
            key, value = cast("Tree[Token]", entry).children
            node = self.node(value, depth + 1)
            if not isinstance(node, Constant):
                raise OttlError(self._text, node.at, "must be written out: maps have constant values here")
            entries[read_text(self._text, cast("Token", key))] = node.value
        return Constant(frozenset({Type.MAP}), Level.CONSTANT, tree.meta.start_pos, entries)

    def _negative(self, sign: Token, node: Node) -> Node:
        if not isinstance(node, Constant) or not node.types <= NUMBERS:
            raise OttlError(self._text, sign.start_pos or 0, "a sign stands before numbers only")
        return Constant(node.types, node.level, sign.start_pos or 0, -node.value if sign == "-" else node.value)

    def _calculations(self, tree: Tree[Token], depth: int) -> Node:
        result = self.node(tree.children[0], depth + 1)
        if len(tree.children) // 2 > _DEEPEST:
            raise OttlError(self._text, tree.meta.start_pos, f"has more than {_DEEPEST} values in one calculation")
        for operator, operand in zip(tree.children[1::2], tree.children[2::2], strict=True):
            right = self.node(operand, depth + 1)
            types = calculated(str(operator), result.types, right.types)
            if not types:
                at = cast("Token", operator).start_pos or 0
                message = f"cannot calculate {listed(result.types)} {operator} {listed(right.types)}"
                if result.types | right.types >= NUMBERS:
                    message += "; convert one side with Int or Double"
                raise OttlError(self._text, at, message)
            level = highest((result, right))
            result = Calculation(types, level, result.at, cast("Literal['+']", str(operator)), result, right)
        return result

    def _comparison(self, left: Node, operator: Token, right: Node) -> Comparison:
        for side in (left, right):
            refuse_collection(self._text, side)
        kinds = (left.types & right.types) or (left.types & NUMBERS and right.types & NUMBERS)
        if not kinds:
            always = "true" if operator == "!=" else "false"
            message = f"compares {listed(left.types)} with {listed(right.types)}, which is always {always}"
            raise OttlError(self._text, operator.start_pos or 0, message + remedy_of_comparison(left, right))
        return Comparison(_BOOL, highest((left, right)), left.at, cast("Literal['==']", str(operator)), left, right)

    def _inside(self, trees: list[Tree[Token]]) -> tuple[str | int, ...]:
        tokens = [cast("Token", tree.children[0]) for tree in trees]
        return tuple(read_text(self._text, each) if each.type == "TEXT" else int(each) for each in tokens)

    def _path(self, tree: Tree[Token]) -> Node:
        steps = cast("list[Tree[Token]]", tree.children)
        names = [str(step.children[0]) for step in steps]
        at = tree.meta.start_pos
        level = self._level
        prefix = ""
        # `span.x` is a span's, `name` what the condition is about; no field of either is called like a prefix.
        if names[0] in PREFIXES:
            level, prefix = PREFIXES[names[0]], f"{names[0]}."
            if len(steps[0].children) > 1 or len(steps) == 1:
                raise OttlError(self._text, at, f"name a field, such as {prefix}{next(iter(FIELDS[level]))}")
            steps, names = steps[1:], names[1:]
        elif self._prefixed:
            raise OttlError(self._text, at, f"must say what it is about, as in span.{names[0]}")
        self._check_level(at, level)
        name = ".".join(names)
        if names[0] == CACHE:
            return self._cache(at, level, steps)
        field = FIELDS[level].get(name)
        if field is None:
            raise self._unknown(
                at, f"{prefix}{name} is not a known field", prefix + name, [prefix + each for each in FIELDS[level]]
            )
        if any(len(step.children) > 1 for step in steps[:-1]):
            raise OttlError(self._text, at, "keys stand at the end of a path")
        inside = self._inside(cast("list[Tree[Token]]", steps[-1].children[1:]))
        if not inside:
            return Path(frozenset({Type.MAP}) if field.countable and field.keyed else field.types, level, at, name, "", ())
        if not field.keyed:
            raise OttlError(self._text, at, f"{prefix}{name} has no keys")
        key, *rest = inside
        if not isinstance(key, str):
            raise OttlError(self._text, at, f'{prefix}{name} has texts as keys, as in {name}["key"]')
        if not key:
            raise OttlError(self._text, at, "the key must not be empty")
        return Path(field.types, level, at, name, key, tuple(rest))

    def _check_level(self, at: int, level: Level) -> None:
        if level > self._level:
            context = next(name for name, each in LEVELS.items() if each is level)
            message = f"what is said of {_MANY[self._level]} cannot look at {_MANY[level]}; put it under {context}"
            raise OttlError(self._text, at, message)

    def _cache(self, at: int, level: Level, steps: list[Tree[Token]]) -> Path:
        if not self._cached:
            raise OttlError(self._text, at, "cache is empty in conditions")
        if level is not self._level:
            raise OttlError(self._text, at, f"the cache here is that of {_MANY[self._level]}")
        if len(steps) > 1:
            raise OttlError(self._text, at, 'cache has texts as keys, as in cache["key"]')
        inside = self._inside(cast("list[Tree[Token]]", steps[0].children[1:]))
        if inside and not isinstance(inside[0], str):
            raise OttlError(self._text, at, 'cache has texts as keys, as in cache["key"]')
        return Path(ATTRIBUTE if inside else frozenset({Type.MAP}), level, at, CACHE, "", inside)

    def _call(self, tree: Tree[Token], depth: int) -> Node:
        function, *others = cast("list[Tree[Token]]", tree.children)
        call = check_call(
            self._text,
            cast("Token", function),
            [self.argument(each, depth) for each in others if each.data != "index"],
            self._inside([each for each in others if each.data == "index"]),
        )
        self._check_level(call.at, call.level)
        return call

    def argument(self, tree: Tree[Token], depth: int) -> tuple[str, Node]:
        """An argument: the name that it was given or none, and its value."""
        name = str(tree.children[0]) if len(tree.children) == 2 else ""
        value = tree.children[-1]
        word = value
        while isinstance(word, Tree) and word.data != "call" and len(word.children) == 1:
            word = word.children[0]
        if isinstance(word, Token) and word in FUNCTIONS:
            return name, FunctionName(frozenset(), Level.CONSTANT, word.start_pos or 0, str(word))
        return name, self.node(value, depth + 1)

    def _unknown(self, at: int, message: str, name: str, known: object) -> OttlError:
        hint = nearest(name, cast("list[str]", known))
        return OttlError(self._text, at, f"{message}; {hint}" if hint else message)

"""What is done to attributes: the processors `attributes` and `resource`."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from config.patterns import Pattern, compile_pattern
from config.section import Section
from config.selection import SpanMatch
from config.values import Scalar

_PUTTING = ("insert", "update", "upsert")
_USES: Mapping[str, tuple[str, ...]] = {
    "key": (*_PUTTING, "delete", "hash", "extract", "convert"),
    "value": _PUTTING,
    "from_attribute": _PUTTING,
    "default_value": _PUTTING,
    "pattern": ("delete", "hash", "extract"),
    "converted_type": ("convert",),
}
"""Key → the actions that it means something for."""


class AttributeAction(Section):
    """One change of attributes."""

    action: Annotated[
        Literal["insert", "update", "upsert", "delete", "hash", "extract", "convert"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    ]
    """`insert` sets an attribute that is not there, `update` one that is there, `upsert` either; `delete` removes it; `hash`
    puts the SHA-1 of its value, in hexadecimal, in place of it; `extract` makes attributes of the named groups of `pattern`;
    `convert` changes the type of its value, where that can be done."""
    key: str = ""
    """The attribute; with `delete` and `hash`, `pattern` may choose further ones."""
    value: Scalar | None = None
    """What `insert`, `update` and `upsert` set: text, a number or a boolean."""
    from_attribute: str = ""
    """The attribute whose value `insert`, `update` and `upsert` set; where it is not there, nothing is done."""
    default_value: Scalar | None = None
    """What is set where the attribute in `from_attribute` is not there."""
    pattern: Pattern = ""
    """For `delete` and `hash` a regular expression for keys; for `extract` one for the value, each group of which has a name."""
    converted_type: Annotated[Literal["int", "double", "string"] | None, Field(validate_default=False)] = None
    """What `convert` makes of the value."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "from_context": "spans are changed after they were acknowledged, when the connection that brought them is forgotten",
    }

    @field_validator("key", "value", "from_attribute", "default_value", "pattern", "converted_type")
    @classmethod
    def _of_use(cls, value: Any, info: ValidationInfo) -> Any:
        action, name = info.data.get("action"), info.field_name or ""
        if value not in (None, "") and action is not None and action not in _USES[name]:
            raise ValueError(f"means nothing for {action}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.key and not (self.pattern and self.action in ("delete", "hash")):
            raise ValueError(f"{self.action} needs {'key or pattern' if self.action in ('delete', 'hash') else 'key'}")
        if self.action in _PUTTING and (self.value is None) == (not self.from_attribute):
            raise ValueError(f"{self.action} needs one of value and from_attribute")
        if self.default_value is not None and not self.from_attribute:
            raise ValueError("default_value needs from_attribute")
        if self.action == "convert" and self.converted_type is None:
            raise ValueError("convert needs converted_type")
        if self.action == "extract":
            pattern = compile_pattern(self.pattern)
            if not pattern.groups or len(pattern.groupindex) != pattern.groups:
                raise ValueError("extract needs a pattern whose groups all have names, such as ^/users/(?P<user>[^/]+)")
        return self


Actions = Annotated[tuple[AttributeAction, ...], Field(min_length=1)]


class AttributesProcessor(Section):
    """Changes attributes of spans, of those that `include` and `exclude` choose."""

    include: SpanMatch | None = None
    """Change only spans that match."""
    exclude: SpanMatch | None = None
    """Change no spans that match; looked at after `include`."""
    actions: Actions
    """What is done, in this order, each with what those before it have left."""


class ResourceProcessor(Section):
    """Changes attributes of resources."""

    attributes: Actions
    """What is done, in this order, each with what those before it have left."""

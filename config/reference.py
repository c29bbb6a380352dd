"""The tables of `docs/configuration.md`: every key with its default, straight from the models.

`python -m config.reference` brings the page up to date: it replaces what follows the marker.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config.model import KINDS, Config, Kind
from config.section import Section
from config.service import Service

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
"""The page, in a working tree."""

MARKER = "<!-- From here on, `python -m config.reference` writes this page. -->\n"


def render() -> str:
    """The page's generated part, Markdown."""
    blocks = [block for kind in KINDS for block in _kind(kind)]
    blocks += _section("service", Service)
    blocks += ["## Other sections", *_absence_table("Section", Config.reference_only.items())]
    return "\n\n".join(blocks) + "\n"


def update(page: str) -> str:
    """The text of the page with its generated part brought up to date."""
    return page[: page.index(MARKER) + len(MARKER)] + "\n" + render()


def _kind(kind: Kind) -> Iterator[str]:
    yield f"## {kind.section}"
    for name, model in kind.types.items():
        heading, summary, *rest = _section(f"{kind.section}.{name}", model)
        newer = [f" `{other}` means the same." for other, older in kind.newer_names.items() if older == name]
        yield from (heading, "".join([summary, *newer]), *rest)
    yield f"### Other {kind.section}"
    yield from _absence_table(f"Type of {kind.word}", kind.reference_only.items())


def _section(name: str, model: type[Section]) -> Iterator[str]:
    yield f"### {name}" if "." in name else f"## {name}"
    yield _summary(model)
    rows = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in _keys("", model)]
    yield "\n".join(["| Key | Default | Meaning |", "| --- | --- | --- |", *rows])
    absent = list(_absent("", model))
    if absent:
        yield from _absence_table("Key", absent)


def _absence_table(subject: str, absent: Iterable[tuple[str, str]]) -> Iterator[str]:
    together: dict[str, list[str]] = {}
    for name, instead in absent:
        together.setdefault(instead, []).append(f"`{name}`")
    rows = [f"| {', '.join(names)} | {instead[0].upper()}{instead[1:]}. |" for instead, names in together.items()]
    yield "The OpenTelemetry Collector has these; this release does not:"
    yield "\n".join([f"| {subject} | Instead |", "| --- | --- |", *rows])


def _keys(prefix: str, model: type[Section], around: tuple[type[Section], ...] = ()) -> Iterator[tuple[str, str, str]]:
    """The keys of a section that stands in those `around` it; what is of a kind with one of those has keys that are known."""
    if any(issubclass(outer, model) for outer in around):
        return
    around = (*around, model)
    for name, field in model.model_fields.items():
        subsection = model.subsection(name)
        if subsection is not None and not any(issubclass(outer, subsection) for outer in around):
            yield from _keys(f"{prefix}{name}.", subsection, around)
            continue
        yield prefix + name, _default(field), " ".join((field.description or "").split())
        item = model.item_section(name)
        if item is not None:
            yield from _keys(f"{prefix}{name}{_place(field)}.", item, around)


def _place(field: FieldInfo) -> str:
    """How an item of a list or mapping is written."""
    return ".NAME" if get_origin(field.annotation) is Mapping else "[]"


def _absent(prefix: str, model: type[Section]) -> Iterator[tuple[str, str]]:
    for name, instead in model.reference_only.items():
        yield prefix + name, instead
    for name in model.model_fields:
        subsection = model.subsection(name)
        if subsection is not None:
            yield from _absent(f"{prefix}{name}.", subsection)


def _summary(model: type[Section]) -> str:
    return " ".join((model.__doc__ or "").partition(" (receiver contract")[0].split()).removesuffix(".") + "."


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"`{_written(field.default)}`"


def _written(value: Any) -> str:
    """A default as one would write it in the file."""
    match value:
        case bool():
            return str(value).lower()
        case None | SecretStr() | "":
            return '""'
        case dict():
            return "{}"
        case (single,):
            return _written(single)
        case tuple():
            return f"[{', '.join(map(_written, value))}]"
    return str(value)


if __name__ == "__main__":
    PAGE.write_text(update(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

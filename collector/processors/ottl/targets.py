"""What fields of spans can be set to: values of statements, brought into the form in which a field takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from collector.processors.ottl.columns import (
    CODES,
    FAILED,
    NAMES,
    NIL,
    Column,
    Failure,
    apply,
)
from collector.processors.trace_state import with_member
from config.ottl_nodes import Path
from config.ottl_paths import CACHE, FIELDS, RANGES
from config.selection import SPAN_KINDS

_ID_SIZES: Final = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_KINDS: Final[Mapping[str, int]] = {kind.capitalize(): number for number, kind in enumerate(SPAN_KINDS)}


def fitting(path: Path, values: Column, current: Callable[[Path], Column]) -> tuple[Path, Column]:
    """The field or attribute that is to be put as a whole, and what with; nil stays, and what does not fit fails.

    Args:
        current: the values that a field has, of as many rows as `values`.
    """
    if path.name == CACHE or path.name == "attributes":
        return path, values
    if path.name == "trace_state" and path.key:
        whole = replace(path, key="")
        return whole, apply(lambda state, value: _with_member(state, path.key, value), [current(whole), values])
    name = path.name.removesuffix(".string")
    if name == "kind" and name != path.name:
        return replace(path, name=name), apply(_kind, [values])
    if name in _ID_SIZES:
        read = _id_of_text if name != path.name else _checked_id
        return replace(path, name=name), apply(lambda value: read(value, name), [values])
    (wanted,) = FIELDS[path.level][path.name].types
    code = CODES[wanted]
    fits = values.types == code
    failure = f"{path.name} takes {wanted}"
    most = RANGES.get(path.name)
    if most is not None and fits.any():
        fits &= (values.numbers >= 0) & (values.numbers <= most)
        failure = f"{path.name} takes {wanted} from 0 to {most}"
    fits |= values.types == NIL
    if fits.all():
        return path, values
    if most is None:
        failure += f", found {NAMES.get(int(values.types[np.argmin(fits)]), 'nothing')}"
    types = np.where(fits, values.types, FAILED)
    return path, Column(types, values.numbers, values.values, values.failure or failure)


def _with_member(state: str, key: str, value: Any) -> str | None:
    if value is None:
        return None
    made = with_member(state, key, value) if isinstance(value, str) else None
    if made is None:
        raise Failure(f"{key} and its value are no member of a trace state")
    return made


def _kind(name: Any) -> int | None:
    if name is not None and name not in _KINDS:
        raise Failure(f"kind.string takes one of {', '.join(_KINDS)}")
    return None if name is None else _KINDS[name]


def _id_of_text(text: Any, name: str) -> bytes | None:
    if text is None:
        return None
    if text == "" and name == "parent_span_id":
        return bytes(_ID_SIZES[name])
    try:
        return _checked_id(bytes.fromhex(text), name)
    except (TypeError, ValueError):
        raise Failure(f"{name}.string takes {2 * _ID_SIZES[name]} hexadecimal digits") from None


def _checked_id(value: Any, name: str) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, bytes) or len(value) != _ID_SIZES[name]:
        raise Failure(f"{name} takes {_ID_SIZES[name]} bytes")
    if not any(value) and name != "parent_span_id":
        raise Failure(f"{name} takes bytes that are not all zero")
    return value

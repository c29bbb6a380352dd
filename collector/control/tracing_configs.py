"""Tracing configs: what an operator says about the spans of a service, while it runs.

A config speaks for the services that its text names, one by its exact name or several by a glob. It is known by that text: its id
follows from the workspace and the text, so that there cannot be two configs for one text, whoever makes them at the same time.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from collector.control.versions import Stored
from config.patterns import is_glob
from config.values import Share

MOST_PATHS: Final = 100
_NAMESPACE: Final = uuid.UUID("9c1f1b6e-0b7a-5d0c-8a53-7f2f3d1c6e42")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be of visible characters and spaces")
    return text


_Glob = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]


class TracingSettings(BaseModel):
    """What can be said about services. In JSON, names are written as `samplingRate`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, validate_by_name=True, use_attribute_docstrings=True
    )

    service: _Glob
    """The name of the service, or a glob in which `*` stands for any characters and `?` for one."""
    enabled: bool = True
    """Whether spans of these services are kept at all."""
    sampling_rate: Share = 1.0
    """The share of the traces that is kept, from 0 to 1."""
    excluded_paths: Annotated[tuple[_Glob, ...], Field(max_length=MOST_PATHS)] = ()
    """Globs; spans are dropped whose `url.path`, `http.route`, `http.target` (without its query) or name one of them matches."""
    propagate_context: bool = True
    """Whether the services should send the trace context on to those that they call; collectors do nothing with it."""
    comment: Annotated[str, Field(max_length=1000)] = ""
    """Why it is so, for people."""

    @property
    def is_glob(self) -> bool:
        """Whether this speaks for all services that its glob matches."""
        return is_glob(self.service)


TracingConfig: TypeAlias = Stored[TracingSettings]
"""One version of a config."""


def id_of(workspace: str, service: str) -> uuid.UUID:
    """The id of the config for a service's name or glob in a workspace."""
    # No name of a workspace has a slash in it.
    return uuid.uuid5(_NAMESPACE, f"{workspace}/{service}")

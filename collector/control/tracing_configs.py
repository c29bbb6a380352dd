"""Tracing configs: what an operator says about the spans of a service, while it runs.

A config speaks for the services that its text names, one by its exact name or several by a glob. It is known by that text: its id
follows from the workspace and the text, so that there cannot be two configs for one text, whoever makes them at the same time.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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


@dataclass(frozen=True, slots=True)
class TracingConfig:
    """One version of a config.

    Attributes:
        id: of the config, the same in all of its versions.
        settings: what it says.
        version: from 1, one more with each change.
        created_at, created_by: nanoseconds since 1970, and the name of the caller; of the first version after a deletion anew.
        updated_at, updated_by: the same of this version.
        deleted: whether this version says that the config is no more.
        write_id: random; tells who has written this version.
    """

    id: uuid.UUID
    workspace: str
    settings: TracingSettings
    version: int
    created_at: int
    created_by: str
    updated_at: int
    updated_by: str
    deleted: bool
    write_id: uuid.UUID

    @property
    def is_glob(self) -> bool:
        """Whether it speaks for all services that its glob matches."""
        return is_glob(self.settings.service)

    def changed(self, author: str, at: int, settings: TracingSettings | None = None, *, deleted: bool = False) -> TracingConfig:
        """The next version: with other settings, or deleted; after a deletion it begins anew.

        Args:
            author: the name of the caller.
            at: nanoseconds since 1970.
        """
        born = (at, author) if self.deleted else (self.created_at, self.created_by)
        return TracingConfig(
            self.id, self.workspace, settings or self.settings, self.version + 1, *born, at, author, deleted, uuid.uuid4()
        )


def first_version(workspace: str, settings: TracingSettings, author: str, at: int) -> TracingConfig:
    """A config that there has never been before; arguments as in `TracingConfig.changed`."""
    config_id = id_of(workspace, settings.service)
    return TracingConfig(config_id, workspace, settings, 1, at, author, at, author, deleted=False, write_id=uuid.uuid4())


def id_of(workspace: str, service: str) -> uuid.UUID:
    """The id of the config for a service's name or glob in a workspace."""
    # No name of a workspace has a slash in it.
    return uuid.uuid5(_NAMESPACE, f"{workspace}/{service}")


def as_json(config: TracingConfig) -> dict[str, Any]:
    """A config as the API shows it."""
    return {
        "id": str(config.id),
        "workspace": config.workspace,
        **config.settings.model_dump(by_alias=True),
        "version": config.version,
        "createdAtUnixNano": str(config.created_at),
        "createdBy": config.created_by,
        "updatedAtUnixNano": str(config.updated_at),
        "updatedBy": config.updated_by,
    }

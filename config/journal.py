"""The journal on disk: the `journal` extension."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from config.section import Section
from config.values import Count, Duration, PositiveCount


class JournalExtension(Section):
    """Keeps spans on disk from the moment they are acknowledged until every exporter has stored them.

    Without it they wait in memory, bounded by `sending_queue`, and are lost with the process.
    """

    directory: Annotated[str, Field(min_length=1)] = "./spanhouse-journal"
    """Where it is; relative to the working directory. Each collector needs one of its own."""
    sync: Literal["interval", "always", "never"] = "interval"
    """What a power cut may take: with `interval` what came since the last one, with `always` nothing, with `never` what the
    system had not written by itself. A crash of the process alone takes nothing."""
    sync_interval: Duration = Duration.parse("1s")
    """How often what came is made to outlast a power cut."""
    max_bytes: PositiveCount = 4_294_967_296
    """The most that it takes on disk."""
    on_full: Literal["reject_new", "drop_oldest"] = "reject_new"
    """At `max_bytes`: tell clients to come back later, or drop what has waited longest, count it, and say so in the log."""
    max_age: Duration = Duration.parse("0")
    """Drop and count what has waited for longer; 0 never does."""
    memory_bytes: Count = 134_217_728
    """How much of what waits is kept in memory as well, so that it need not be read again."""
    segment_bytes: PositiveCount = 67_108_864
    """The size of one file. A file is deleted once all in it is stored."""

    @field_validator("sync_interval")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than 0; with sync: always nothing waits for an interval")
        return value

    @field_validator("segment_bytes")
    @classmethod
    def _several_files(cls, value: int, info: ValidationInfo) -> int:
        most = info.data.get("max_bytes", value)
        # A default larger than a small journal is no mistake of anybody's.
        if value > most and value != cls.model_fields["segment_bytes"].default:
            raise ValueError("must be at most max_bytes")
        return value

"""The `debug` exporter: spans to the daemon's own log."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from config.sending import Sending
from config.values import AnyCase, Count


class DebugExporter(Sending):
    """Writes to the daemon's log that spans came, or what they hold: for setting things up, not for every day."""

    verbosity: Annotated[Literal["basic", "normal", "detailed"], AnyCase] = "basic"
    """`basic` writes a line for each batch, `normal` one for each span too, and `detailed` all that it holds into that."""
    sampling_initial: Count = 2
    """So many batches are written in each second, whatever comes after them."""
    sampling_thereafter: Count = 1
    """Of the batches after those in the same second, every such one is written: 1 writes all, 100 each hundredth, 0 none."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "loglevel": "use verbosity",
        "use_internal_logger": "leave it out: lines go where the daemon's own go",
        "output_paths": "leave it out: lines go where the daemon's own go, to standard error",
    }

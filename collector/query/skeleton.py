"""What the shape of a trace needs: ids, times, names and status of its spans, without attributes, events and links.

Trees, waterfalls and critical paths are made of this alone, which of a large trace is a small part of its bytes. `Spans` has all
of it and the rest; a span has the same row in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from proto.spans import Table, records
from proto.trace_shape import ERROR

Identity = tuple[int, int, str, int, str, str, int]
"""(start, end, span id, kind, service, name, content): equal for one span that was sent twice; the order of rows."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Spans of one trace, in the order of their identities.

    Whole traces are worked on in the columns of `table`. The lists, one value for each span, are for what goes from span to span;
    each is made when it is first asked for.

    Attributes:
        trace_id: 32 hex digits.
        table: what is known of each span, see `proto.trace_shape.SKELETON`.
        name_texts, service_texts, host_texts: what the table's numbers for names, services and hosts stand for. A service is the
            text of `service.name`, '' without one; a host `host.id`, else `host.ip`, else `host.name` of the resource, else ''.
        odd_ids: of a span id that is not 16 hex digits, its number in the table and its text.
        complete: whether these are all the spans of the trace.
    """

    trace_id: str
    table: Table
    name_texts: Sequence[str]
    service_texts: Sequence[str]
    host_texts: Sequence[str]
    odd_ids: dict[int, str]
    complete: bool = True

    def __len__(self) -> int:
        return len(self.table)

    @property
    def records(self) -> Table:
        """The table as kernels take it."""
        return records(self.table)

    def identities(self) -> list[Identity]:
        """What tells each span from all others."""
        contents = self._integers("content")
        return list(zip(self.starts, self.ends, self.span_ids, self.kinds, self.services, self.names, contents, strict=True))

    def id_text(self, number: int) -> str:
        """The text of a span id in the table, '' for none."""
        return self.odd_ids.get(number) or (f"{number:016x}" if number else "")

    def take(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Self:
        """The spans of these rows, in this order."""
        own = {each.name for each in fields(Skeleton)}
        lists = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in own}
        taken: dict[str, Any] = {name: [values[row] for row in rows] for name, values in lists.items()}
        return replace(self, table=self.table[np.asarray(rows, np.intp)], **taken)

    def with_times(self, starts: NDArray[np.uint64], ends: NDArray[np.uint64]) -> Self:
        """The same spans with other times; nanoseconds, shapes (spans,)."""
        table = self.table.copy()
        table["start"] = starts
        table["end"] = ends
        table["duration"] = np.maximum(starts, ends) - starts
        return replace(self, table=table)

    @cached_property
    def span_ids(self) -> list[str]:
        """16 hex digits each, unless their writer has other ids."""
        return self._id_texts("span_id")

    @cached_property
    def parent_span_ids(self) -> list[str]:
        """As `span_ids`; '' where there is no parent."""
        return self._id_texts("parent_span_id")

    @cached_property
    def names(self) -> list[str]:
        return [self.name_texts[code] for code in self.table["name"].tolist()]

    @cached_property
    def services(self) -> list[str]:
        return [self.service_texts[code] for code in self.table["service"].tolist()]

    @cached_property
    def hosts(self) -> list[str]:
        return [self.host_texts[code] for code in self.table["host"].tolist()]

    @cached_property
    def kinds(self) -> list[int]:
        return self._integers("kind")

    @cached_property
    def status_codes(self) -> list[int]:
        return self._integers("status_code")

    @cached_property
    def starts(self) -> list[int]:
        return self._integers("start")

    @cached_property
    def ends(self) -> list[int]:
        return self._integers("end")

    @cached_property
    def durations(self) -> list[int]:
        """Nanoseconds; 0 for a span that ends before it starts."""
        return self._integers("duration")

    @cached_property
    def processes(self) -> list[int]:
        return self._integers("process")

    @cached_property
    def start(self) -> int:
        """Start of the trace: of its earliest span that has a time at all."""
        starts = self.table["start"]
        known = starts[starts > 0]
        return int(known.min()) if len(known) else 0

    @cached_property
    def end(self) -> int:
        """End of the trace: the latest end of a span."""
        return int(np.maximum(self.table["start"], self.table["end"]).max())

    @cached_property
    def error_count(self) -> int:
        """Number of spans whose status is Error."""
        return int(np.count_nonzero(self.table["status_code"] == ERROR))

    def _integers(self, column: str) -> list[int]:
        values: list[int] = self.table[column].tolist()
        return values

    def _id_texts(self, column: str) -> list[str]:
        return [self.id_text(number) for number in self._integers(column)]

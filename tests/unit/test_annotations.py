"""How long annotations are kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collector.control.annotations import Annotation

NOW_S, DAY_S = 1_800_000_000, 86_400


def said(keep: str = "trace") -> Annotation:
    return Annotation(trace_id="a" * 32, text="x", keep=keep)


def days(annotation: Annotation) -> float | None:
    return None if annotation.kept_until is None else (annotation.kept_until.timestamp() - NOW_S) / DAY_S


@pytest.mark.parametrize(
    ("keep", "spans_days", "expected"),
    [
        ("trace", 7, 7),
        ("trace", 0, None),
        ("forever", 7, None),
        (datetime.fromtimestamp(NOW_S + 9 * DAY_S, UTC).isoformat(), 7, 9),
        (datetime.fromtimestamp(NOW_S + 5 * DAY_S, UTC).isoformat(), 7, 7),
        (datetime.fromtimestamp(NOW_S + 5 * DAY_S, UTC).isoformat(), 0, None),
    ],
)
def test_an_annotation_is_kept_as_long_as_the_trace_or_longer(keep: str, spans_days: int, expected: float | None) -> None:
    assert days(said(keep).completed(NOW_S, spans_days * DAY_S, target_found=True)) == expected


def test_what_is_said_again_is_not_kept_shorter_because_spans_are() -> None:
    first = said().completed(NOW_S, 30 * DAY_S, target_found=True)
    assert days(said().completed(NOW_S + DAY_S, 7 * DAY_S, target_found=True, before=first)) == 30
    assert days(said().completed(NOW_S + 25 * DAY_S, 7 * DAY_S, target_found=True, before=first)) == 32
    for_ever = said().completed(NOW_S, 0, target_found=True)
    assert days(said().completed(NOW_S, 7 * DAY_S, target_found=True, before=for_ever)) is None
    assert days(said("2027-01-20T00:00:00Z").completed(NOW_S, 7 * DAY_S, target_found=True, before=first)) == 7

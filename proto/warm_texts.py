"""Runs the kernels that search and replace texts, so that they are compiled."""

from __future__ import annotations

import numpy as np

from proto.lines import as_lines
from proto.shapes import Parts, put_in_parts, shapes_of
from proto.spans import SpanBatch
from proto.string_values import distinct_strings_at, with_strings_at
from proto.texts import known_texts


def warm_texts(batch: SpanBatch) -> None:
    """Put another text in place of a part of each string among the attributes of a batch."""
    places = np.arange(len(batch.attributes))
    codes, texts = distinct_strings_at(batch, places, 1)
    shapes = shapes_of(texts, np.frombuffer(bytes(range(256)), np.uint8))
    first_bytes = np.array([[0, 1]] * len(shapes.lines.lengths))
    parts = Parts(np.ones(len(first_bytes), np.int64), np.arange(len(first_bytes)), first_bytes)
    lines = put_in_parts(texts, shapes.codes, parts, known_texts(["a"]))
    lines.differ_from(as_lines(texts).texts)
    with_strings_at(batch, places, codes, lines)

"""Kernels as plain Python, for debugging and coverage: they must do what the compiled ones do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from proto.join import concatenate
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from tests.support.requests import every_value_request

ROOT = Path(__file__).parents[2]


def digest() -> str:
    """SHA-256 of the block, and of the request, that a request with every field and type of value becomes, twice."""
    # Without a compiler, NumPy points out the overflows that hashing lives on.
    with np.errstate(over="ignore"):
        batch = decode(every_value_request().SerializeToString()).batch
        twice = concatenate([batch, batch])
        return hashlib.sha256(encode(twice).data.tobytes() + encode_request(twice)).hexdigest()


def test_kernels_as_plain_python_write_the_same_bytes() -> None:
    plain = subprocess.run(
        [sys.executable, "-c", "from tests.unit.test_plain_kernels import digest; print(digest())"],
        cwd=ROOT,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.strip() == digest()

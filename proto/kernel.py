"""The one way in which this package compiles its kernels."""

from numba import njit

kernel = njit(nogil=True, boundscheck=True, cache=True, error_model="numpy")
"""Decorator of every function that touches outside bytes.

Without the GIL, so that a request is scanned while others are received; with bounds checks, so that a slip is an
`IndexError` and a refused request, never foreign memory; cached on disk, so that only the first start compiles.
With `NUMBA_DISABLE_JIT=1` a kernel is the plain Python that it reads as.
"""

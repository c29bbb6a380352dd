"""What the daemon asks of its two memory managers: glibc's, which gives back too little, and Python's, which looks too often."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

# Names and numbers of <malloc.h>.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_SETTINGS: Final = {
    _M_ARENA_MAX: 1,
    # Set by hand, they no longer grow with what was freed last. The buffers of a usual block are reused, for to map them anew
    # each time costs a fifth of encoding; what is larger is mapped on its own and goes at once.
    _M_MMAP_THRESHOLD: 32 << 20,
    _M_TRIM_THRESHOLD: 32 << 20,
}


def keep_little() -> None:
    """Tell the allocator to return what is free, and to keep what the next block will need."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        # Another C library, with ways of its own.
        return
    for parameter, value in _SETTINGS.items():
        mallopt(parameter, value)


def spare_the_collector() -> None:
    """Have the garbage collector leave alone what exists now: modules, kernels and rooms, half a million objects that stay."""
    gc.collect()
    gc.freeze()

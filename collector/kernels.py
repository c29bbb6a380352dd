"""The kernels, ready before the first request: compiled once for each version, and loaded from then on."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Final

import structlog

from collector.memory import forget_code
from proto.warm import cache_directory, is_warm, warm

_log = structlog.get_logger(__name__)


_COMPILER: Final = "libllvmlite"
"""The library that loads the kernels, and could compile them: 50 MB of code, of which nothing runs once they are loaded."""
REMEDY: Final = "let SPANHOUSE_KERNEL_CACHE name a directory that the daemon may write to"
"""What to do where compiled kernels cannot be kept."""
_OF_ONE_PROCESS: Final = "spanhouse-kernels-"
"""How a directory is called that a process has for itself, where the usual one cannot be written (`proto/kernel.py`)."""


class KernelError(OSError):
    """The kernels cannot be compiled."""


def are_kept() -> bool:
    """Whether compiled kernels outlast this process."""
    return not cache_directory().name.startswith(_OF_ONE_PROCESS)


@asynccontextmanager
async def loading(executor: Executor) -> AsyncIterator[asyncio.Task[None]]:
    """Compile the kernels, if no earlier start has, and load them; given up when the context ends. The task raises KernelError.

    Args:
        executor: a thread to load them in.
    """
    task = asyncio.create_task(_load(executor), name="kernels")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _load(executor: Executor) -> None:
    started_s = time.monotonic()
    if not is_warm():
        if are_kept():
            _log.info("compiling_kernels", note="first start of this version only, about a minute")
        else:
            _log.warning("compiling_kernels", note="at every start, about a minute", remedy=REMEDY)
        await _compile()
    await asyncio.get_running_loop().run_in_executor(executor, warm)
    forget_code(_COMPILER)
    _log.info("kernels_ready", seconds=round(time.monotonic() - started_s, 1))


async def _compile() -> None:
    """Have another process compile: the compiler holds the interpreter, cannot be interrupted, and keeps 600 MB for good."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proto.warm"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        # Ctrl-C is for the daemon.
        start_new_session=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache_directory())},
    )
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            # Its files come to their names whole, so stopping it amid one harms none.
            process.kill()
            await process.wait()
    if status:
        raise KernelError(f"the kernels cannot be compiled: `{sys.executable} -m proto.warm` ended with status {status}")

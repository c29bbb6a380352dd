"""Eight bytes at a time: unaligned loads and stores of 64-bit words, and the two byte loops that live on them.

`load64` and `store64` do what one machine instruction does and check nothing, so they are called only by functions of this file,
each of which checks its whole range once, before its loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from proto.kernel import unchecked_kernel

HIGH_BITS = np.uint64(0x8080808080808080)

if config.DISABLE_JIT:

    def load64(data: Any, position: int) -> np.uint64:
        """The little-endian word at data[position : position + 8]."""
        return np.uint64(int.from_bytes(data[position : position + 8].tobytes(), "little"))

    def store64(out: Any, position: int, word: np.uint64) -> None:
        """out[position : position + 8] = the word's bytes, little-endian."""
        out[position : position + 8] = np.frombuffer(int(word).to_bytes(8, "little"), np.uint8)

else:

    def _pointer(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
        data = context.make_array(array_type)(context, builder, array).data
        return builder.bitcast(cgutils.gep_inbounds(builder, data, position), ir.IntType(64).as_pointer())

    @intrinsic
    def load64(typing_context: Any, data: Any, position: Any) -> tuple[Signature, Any]:
        """The little-endian word at data[position : position + 8]."""

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=1)

        return types.uint64(data, types.int64), build

    @intrinsic
    def store64(typing_context: Any, out: Any, position: Any, word: Any) -> tuple[Signature, Any]:
        """out[position : position + 8] = the word's bytes, little-endian."""

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array, at, value = arguments
            builder.store(value, _pointer(context, builder, signature.args[0], array, at), align=1)
            return context.get_dummy_value()

        return types.void(out, types.int64, types.uint64), build


@unchecked_kernel
def is_ascii(data, start, end):
    """Whether all of data[start:end] is below 0x80."""
    if start < 0 or end > data.size:
        raise IndexError("range outside the data")
    position = start
    while position + 8 <= end:
        if load64(data, position) & HIGH_BITS:
            return False
        position += 8
    if position == end:
        return True
    if end >= 8:
        # The last bytes end a whole word; shift out what stands before them.
        return (load64(data, end - 8) >> np.uint64(8 * (8 - (end - position)))) & HIGH_BITS == 0
    while position < end:
        if data[position] >= 0x80:
            return False
        position += 1
    return True


@unchecked_kernel
def copy(out, position, data, start, length):
    """out[position : position + length] = data[start : start + length]; returns the position after it.

    Where both arrays go on for another eight bytes, whole words are written, over the end too: what follows in `out` is
    written later. A caller must therefore fill `out` from front to back.
    """
    if length < 0 or start < 0 or position < 0 or start + length > data.size or position + length > out.size:
        raise IndexError("range outside the data")
    if start + length + 8 <= data.size and position + length + 8 <= out.size:
        done = 0
        while done < length:
            store64(out, position + done, load64(data, start + done))
            done += 8
    else:
        for index in range(length):
            out[position + index] = data[start + index]
    return position + length

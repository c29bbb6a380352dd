"""Eight bytes at a time: unaligned loads and stores of 64-bit words, and the byte loops that live on them.

`load64`, `store64` and `expect` do what one machine instruction does and check nothing. Whoever calls them has checked the
range: the functions here once, before their loops; in the JSON kernels `read_string`, `find_key` and `move_up`, and in
`proto.numbers` `write_unsigned`, each before its access. `expect` may be given any position.
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
HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, made odd

if config.DISABLE_JIT:  # type: ignore[attr-defined]  # numba makes its settings at run time

    def load64(data: Any, position: int) -> np.uint64:
        """The little-endian word at data[position : position + 8]."""
        return np.uint64(int.from_bytes(data[position : position + 8].tobytes(), "little"))

    def store64(out: Any, position: int, word: np.uint64) -> None:
        """out[position : position + 8] = the word's bytes, little-endian."""
        out[position : position + 8] = np.frombuffer(int(word).to_bytes(8, "little"), np.uint8)

    def expect(data: Any, position: int) -> None:
        """Nothing to do where nothing is compiled."""

    def stay_apart() -> None:
        """Nothing to do where nothing is compiled."""

    def join_caller() -> None:
        """Nothing to do where nothing is compiled."""

    def as_double(bits: int) -> np.float64:
        """The double whose bits an int64 holds."""
        return np.int64(bits).view(np.float64)

else:

    def _pointer(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
        data = context.make_array(array_type)(context, builder, array).data
        return builder.bitcast(cgutils.gep_inbounds(builder, data, position), ir.IntType(64).as_pointer())  # type: ignore[no-untyped-call]  # untyped there

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

    @intrinsic
    def expect(typing_context: Any, data: Any, position: Any) -> tuple[Signature, Any]:
        """Have the processor fetch what is at `position`, wherever that is, while it does other work.

        Spans that were received on another core or long ago are not in this core's cache, and lie too far apart for the
        processor to guess which comes next.
        """

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word = _pointer(context, builder, signature.args[0], *arguments)
            byte = builder.bitcast(word, ir.IntType(8).as_pointer())
            flag = ir.IntType(32)
            declared = ir.FunctionType(ir.VoidType(), [byte.type, flag, flag, flag])
            prefetch = cgutils.get_or_insert_function(builder.module, declared, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]  # untyped there
            # To read, to keep in every cache, of data.
            builder.call(prefetch, [byte, flag(0), flag(3), flag(1)])
            return context.get_dummy_value()

        return types.void(data, types.int64), build

    @intrinsic
    def stay_apart(typing_context: Any) -> tuple[Signature, Any]:
        """Keep the compiler from copying the kernel that calls this into its callers: for what is rare, but large."""

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.function.attributes.add("noinline")
            return context.get_dummy_value()

        return types.void(), build

    @intrinsic
    def join_caller(typing_context: Any) -> tuple[Signature, Any]:
        """Have the compiler copy the kernel that calls this into its callers: for what is small, and called for each text.

        A call hands over seven words for each array, which costs more than to look at a short text.
        """

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.function.attributes.add("alwaysinline")
            return context.get_dummy_value()

        return types.void(), build

    @intrinsic
    def as_double(typing_context: Any, bits: Any) -> tuple[Signature, Any]:
        """The double whose bits an int64 holds."""

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.DoubleType())

        return types.float64(types.int64), build


@unchecked_kernel
def is_ascii(data, start, end):
    """Whether all of data[start:end] is below 0x80."""
    join_caller()
    if start < 0 or end > data.size:
        raise IndexError("range outside the data")
    if end - start < 8:
        return load_below64(data, start, max(end - start, 0)) & HIGH_BITS == 0
    # The last word overlaps the one before it, so there is no rest to be looked at byte by byte.
    seen = load64(data, end - 8)
    position = start
    while position < end - 8:
        seen |= load64(data, position)
        position += 8
    return seen & HIGH_BITS == 0


@unchecked_kernel
def copy(out, position, data, start, length):
    """out[position : position + length] = data[start : start + length]; returns the position after it.

    Where both arrays go on for another 32 bytes, 32 are written at a time, over the end too: most texts are shorter, and then
    there is no loop for the processor to guess. What follows in `out` is written later: a caller must fill it from front to back.
    """
    join_caller()
    if length < 0 or start < 0 or position < 0 or start + length > data.size or position + length > out.size:
        raise IndexError("range outside the data")
    if start + length + 32 <= data.size and position + length + 32 <= out.size:
        done = 0
        while done < length:
            # All loads before the stores: otherwise the compiler must fear that a store changes what is loaded next.
            first = load64(data, start + done)
            second = load64(data, start + done + 8)
            third = load64(data, start + done + 16)
            fourth = load64(data, start + done + 24)
            store64(out, position + done, first)
            store64(out, position + done + 8, second)
            store64(out, position + done + 16, third)
            store64(out, position + done + 24, fourth)
            done += 32
    else:
        for index in range(length):
            out[position + index] = data[start + index]
    return position + length


@unchecked_kernel
def load_below64(data, start, length):
    """data[start : start + length], fewer than eight bytes, as the low bytes of a word. The caller has checked the range."""
    join_caller()
    if start + 8 <= data.size:
        return load64(data, start) & ((np.uint64(1) << np.uint64(8 * length)) - np.uint64(1))
    word = np.uint64(0)
    for index in range(length):
        word |= np.uint64(data[start + index]) << np.uint64(8 * index)
    return word


@unchecked_kernel
def is_equal(data, left, right, length):
    """Whether data[left : left + length] equals data[right : right + length]."""
    join_caller()
    if length < 0 or left < 0 or right < 0 or max(left, right) + length > data.size:
        raise IndexError("range outside the data")
    if length < 8:
        return load_below64(data, left, length) == load_below64(data, right, length)
    # The last word overlaps the one before it, so there is no rest to be looked at byte by byte.
    last = length - 8
    done = 0
    while done < last:
        if load64(data, left + done) != load64(data, right + done):
            return False
        done += 8
    return load64(data, left + last) == load64(data, right + last)


@unchecked_kernel
def compare(data, left, left_length, right, right_length):
    """Negative, zero or positive as the left bytes sort before, with or after the right ones."""
    if left < 0 or right < 0 or left + left_length > data.size or right + right_length > data.size:
        raise IndexError("range outside the data")
    for index in range(min(left_length, right_length)):
        if data[left + index] != data[right + index]:
            return np.int64(data[left + index]) - np.int64(data[right + index])
    return left_length - right_length


@unchecked_kernel
def hash_bytes(data, start, length):
    """A well-mixed non-negative int64 of data[start : start + length]; for hash tables that live as long as a block.

    Multiply and fold, a word at a time: the idea of wyhash without its secrets.
    """
    if length < 0 or start < 0 or start + length > data.size:
        raise IndexError("range outside the data")
    state = np.uint64(length) * HASH_MULTIPLIER
    if length < 8:
        last = load_below64(data, start, length)
    else:
        done = 0
        while done < length - 8:
            state = (state ^ load64(data, start + done)) * HASH_MULTIPLIER
            state ^= state >> np.uint64(32)
            done += 8
        last = load64(data, start + length - 8)
    state = (state ^ last) * HASH_MULTIPLIER
    state ^= state >> np.uint64(29)
    return np.int64(state >> np.uint64(1))


@unchecked_kernel
def is_zero(data, start, length):
    """Whether all of data[start : start + length] is zero."""
    join_caller()
    if length < 0 or start < 0 or start + length > data.size:
        raise IndexError("range outside the data")
    if length < 8:
        return load_below64(data, start, length) == 0
    done = 0
    while done < length - 8:
        if load64(data, start + done):
            return False
        done += 8
    return load64(data, start + length - 8) == 0


@unchecked_kernel
def write_hex(out, position, data, start, length):
    """data[start : start + length] in lower-case hexadecimal; returns the position after it."""
    if length < 0 or start < 0 or position < 0 or start + length > data.size or position + 2 * length > out.size:
        raise IndexError("range outside the data")
    done = 0
    while done + 8 <= length:
        word = load64(data, start + done)
        store64(out, position, hex_digits(word & np.uint64(0xFFFFFFFF)))
        store64(out, position + 8, hex_digits(word >> np.uint64(32)))
        position += 16
        done += 8
    while done < length:
        digits = hex_digits(np.uint64(data[start + done]))
        out[position] = digits & np.uint64(0xFF)
        out[position + 1] = (digits >> np.uint64(8)) & np.uint64(0xFF)
        position += 2
        done += 1
    return position


@unchecked_kernel
def hex_digits(word):
    """The eight digits of four bytes, the lower 32 bits of `word`, as the bytes of a word: all eight at once."""
    word = (word | word << np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    word = (word | word << np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    nibbles = np.uint64(0x000F000F000F000F)
    digits = (word >> np.uint64(4)) & nibbles | (word & nibbles) << np.uint64(8)
    is_letter = (digits + np.uint64(0x0606060606060606)) >> np.uint64(4) & np.uint64(0x0101010101010101)
    return digits + np.uint64(0x3030303030303030) + is_letter * np.uint64(ord("a") - ord("0") - 10)

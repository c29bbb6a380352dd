"""Compile every kernel before the first request needs it, or load what an earlier start compiled.

`python -m proto.warm` fills the cache, for images that are built once and started often.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Final

import numba
import numpy as np
from llvmlite import __version__ as llvmlite_version
from llvmlite.binding import get_host_cpu_name
from numba import config

from proto.attribute_search import find_attributes
from proto.compact import compact
from proto.distinct import distinct_values
from proto.edit import Edit
from proto.join import concatenate
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.otlp_json import json_to_protobuf
from proto.span_counts import spans_of_resources
from proto.span_table import HALF, SpanTable, find_callers, look_up, span_keys
from proto.trace_table import TRACE, KeyTable, admit, gather, trace_keys
from proto.warm_texts import warm_texts
from proto.warm_traces import warm_traces
from proto.zipkin import zipkin_json_to_otlp, zipkin_protobuf_to_otlp

_REQUEST: Final = rb"""{"resourceSpans":[{"schemaUrl":"https://example.com/schema","resource":{"attributes":[
{"key":"service.name","value":{"stringValue":"warm"}},{"key":"process.pid","value":{"intValue":"1"}}]},
"scopeSpans":[{"scope":{"name":"warm","version":"1","attributes":[{"key":"flag","value":{"boolValue":true}}]},"spans":[
{"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"0001020304050607","parentSpanId":"08090a0b0c0d0e0f","name":"\u00e9\ud83d\ude00",
"kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000000000001","traceState":"a=b","flags":1,
"status":{"code":2,"message":"no"},"attributes":[{"key":"double","value":{"doubleValue":0.1}},{"key":"int","value":{"intValue":-7}},
{"key":"exponent","value":{"doubleValue":1e300}},{"key":"whole","value":{"doubleValue":3}},{"key":"digits","value":
{"doubleValue":1.2345678901234567890123}},{"key":"bytes","value":{"bytesValue":"AQID"}},{"key":"empty","value":{}},
{"key":"array","value":{"arrayValue":{"values":[{"stringValue":"x"},{"doubleValue":2.5},{}]}}},
{"key":"kvlist","value":{"kvlistValue":{"values":[{"key":"b","value":{"intValue":1}},{"key":"a","value":{"stringValue":"\n"}}]}}}],
"events":[{"timeUnixNano":"1700000000000000000","name":"exception","attributes":[{"key":"k","value":{"stringValue":"v"}}]}],
"links":[{"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"0001020304050607","traceState":"c=d","attributes":
[{"key":"k","value":{"boolValue":false}}]}]}]}]}]}"""
"""One span that has every field and every type of value."""

_ZIPKIN_SPANS: Final = rb"""[{"traceId":"1","parentId":"2","id":"3","kind":"CLIENT","name":"warm",
"timestamp":1700000000000000,"duration":1,"localEndpoint":{"serviceName":"warm","ipv4":"127.0.0.1","port":1},
"remoteEndpoint":{"serviceName":"cold","ipv6":"::1"},"annotations":[{"timestamp":1700000000000000,"value":"a"}],
"tags":{"a":"b","n":1,"t":true,"error":"","otel.scope.name":"warm"}}]"""

# A span of a service at two addresses, in protobuf.
_ZIPKIN_LIST: Final = bytes.fromhex("0a310a0800010203040506071a080001020304050607421b0a016112047f0000011a10" + 16 * "00")

# A span whose name is not UTF-8, so that the repair of texts is compiled too.
_BROKEN_TEXT: Final = bytes.fromhex("0a231221121f0a10000102030405060708090a0b0c0d0e0f120800010203040506072a01ff")


def warm() -> None:
    """Run every kernel once: about a minute when they have to be compiled, a fraction of a second otherwise."""
    request = json_to_protobuf(_REQUEST).protobuf
    whole, broken = decode(request).batch, decode(_BROKEN_TEXT).batch
    zipkin_json_to_otlp(_ZIPKIN_SPANS)
    zipkin_protobuf_to_otlp(_ZIPKIN_LIST)
    encode(whole)
    encode(broken)
    encode(concatenate([whole, broken, whole]))
    encode(concatenate([whole, broken]).select(np.array([1, 0])))
    encode_request(whole)
    encode_request(concatenate([whole, broken]).select(np.array([1, 0])))
    find_attributes(whole, whole.spans, [b"int", b"exponent"])
    edit = Edit(whole, "spans", [b"kvlist"])
    edit.put_texts(0, np.array([True]), *distinct_values(whole.data, edit.values(0, np.array([True]))))
    encode(edit.finish())
    encode(compact(whole))
    spans_of_resources(whole)
    warm_texts(whole)
    traces = KeyTable(1)
    traces.grow(2)
    keys = trace_keys(whole, np.zeros(1, np.uint64))
    slots, _ = traces.enter(keys)
    gather(
        np.zeros(2, TRACE), np.zeros((2, 1), np.uint64), slots, whole.spans, np.zeros(1, np.uint32), np.zeros((1, 1), np.uint64)
    )
    traces.remove(traces.find(keys))
    admit(np.empty(1, np.bool_), np.ones(1, np.bool_), np.ones(1, np.int64), 1)
    own, parents = (
        span_keys(whole.data, whole.spans["trace_id_offset"], whole.spans[f"{of}_offset"]) for of in ("span_id", "parent_span_id")
    )
    row = np.zeros(1, np.int32)
    look_up(parents, own, find_callers(own, parents, row, row, np.zeros(1, np.bool_)).slots)
    waiting = SpanTable(1)
    waiting.add(np.zeros(1, HALF), 0.0)
    waiting.expire(1.0)
    warm_traces()
    _remember()


def is_warm() -> bool:
    """Whether an earlier `warm` has left compiled kernels that fit these sources, this machine and these libraries."""
    return _mark().exists()


def cache_directory() -> Path:
    """Where compiled kernels are kept."""
    return Path(config.CACHE_DIR)  # type: ignore[attr-defined]  # numba makes its settings at run time


def _mark() -> Path:
    """A file that stands for "all kernels are there": Numba's own files tell only about one kernel each."""
    target = (sys.version, numba.__version__, llvmlite_version, os.environ.get("NUMBA_CPU_NAME") or get_host_cpu_name())
    return cache_directory() / f"complete-{hashlib.sha256(repr(target).encode()).hexdigest()[:16]}"


def _remember() -> None:
    mark = _mark()
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:
        # A cache that cannot be written is as good as none, or was filled when an image was built.
        return


if __name__ == "__main__":
    if not is_warm():
        sys.stdout.write("spanhouse: compiling the kernels (first start of a version only, about a minute)\n")
        sys.stdout.flush()
        warm()

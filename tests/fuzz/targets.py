"""What is fuzzed: every reader of bytes from outside, what it may raise, and what must hold of what it reads.

A target's `run` returns, or raises AssertionError for what must not be; any other exception that gets out is a finding, too.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import cramjam
import lz4.frame
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from py_zipkin.encoding.protobuf.zipkin_pb2 import ListOfSpans

from collector.errors import Refused
from collector.journal import records
from collector.processors.ottl.evaluate import Evaluator, attribute_keys
from collector.processors.ottl.fields import Fields
from collector.processors.probability import NEVER
from collector.processors.tail_sampling.sampler import TailSampler
from collector.processors.trace_state import read_trace_state
from collector.processors.transform import Transform
from collector.query.promql.reading import read_promql
from collector.query.promql.value_types import type_of
from collector.receivers.http_body import decompress, zstd
from collector.receivers.settings import CONTENT_CODINGS
from config.ottl import OttlError, read_condition
from config.ottl_statements import read_flat_statement
from config.tail_sampling import TailSamplingProcessor
from config.transforming import TransformProcessor
from exporters.embedded.block_compression import pack_blocks, unpack_blocks
from exporters.embedded.errors import DatabaseError
from exporters.embedded.request import read_parameters
from exporters.embedded.statement import read_statement
from exporters.otlp.answers import grpc_error, http_error, partial_success
from proto.converted import ConvertedRequest
from proto.errors import MalformedRequest
from proto.join import concatenate
from proto.native_decode import Coded, Column, Lists, Maps, NativeError, decode_blocks
from proto.native_encode import Encoder
from proto.otlp_decode import Decoder, decode
from proto.otlp_encode import encode_request
from proto.otlp_json import json_to_protobuf
from proto.spans import SpanBatch
from proto.texts import Texts
from proto.zipkin import MOST_GROWTH, zipkin_json_to_otlp, zipkin_protobuf_to_otlp
from tests.fuzz import grpc_connection
from tests.support.requests import Shape, every_value_request, generated_request
from tests.support.zipkin import EVERY_FIELD, to_protobuf

CORPUS: Final = Path(__file__).parents[1] / "corpus"
"""A directory for each target with what was once found, and samples where a file is easier to keep than to make."""
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """One reader.

    Attributes:
        samples: makes inputs that are in order.
        run: reads an input.
        tokens: pieces of the language.
    """

    samples: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], None]
    tokens: Sequence[bytes] = ()


def found_before(name: str) -> list[bytes]:
    """Inputs that a target once failed on."""
    return [path.read_bytes() for path in sorted(_corpus(name).glob("*.bin"))]


def keep(name: str, body: bytes) -> str:
    """Keep an input on which a target failed, from where the tests take it; returns the name of its file."""
    file = _corpus(name) / f"{hashlib.sha256(body).hexdigest()[:16]}.bin"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    return file.name


def _corpus(name: str) -> Path:
    return CORPUS / name.replace("-", "_")


def _requests() -> list[bytes]:
    small = [
        generated_request(Shape(spans=3, span_attributes=2, resource_attributes=2, links_share=0.5), seed=seed)
        for seed in range(4)
    ]
    return [message.SerializeToString() for message in (*map(_every_value, range(4)), *small)]


def _every_value(seed: int) -> ExportTraceServiceRequest:
    return every_value_request(seed=seed)


_REQUEST_IN_FRONT: Final = _every_value(99).SerializeToString()


@cache
def _encoder() -> Encoder:
    return Encoder()


def _read_protobuf(body: bytes) -> None:
    try:
        spans = _spans(ExportTraceServiceRequest.FromString(body))
    except DecodeError:
        spans = -1
    refusal = ""
    try:
        batch = decode(body).batch
    except MalformedRequest as error:
        refusal = str(error)
    _read_behind_another(body, None if refusal else batch)
    if refusal:
        # The library does not look at the numbers of fields within groups that it skips; that they exist is part of the format.
        assert spans == -1 or "field number" in refusal, "the protobuf library reads this"
        return
    block = _encoder().encode(batch)
    assert block.rows == len(batch)
    if spans >= 0:
        assert len(batch) <= spans
        again = decode(encode_request(batch)).batch
        assert len(again) == len(batch), "written as OTLP, it has another number of spans"


def _read_behind_another(body: bytes, expected: SpanBatch | None) -> None:
    """What stands in front of a request in an arena is no part of it."""
    decoder = Decoder()
    first = decoder.decode(_REQUEST_IN_FRONT).batch
    try:
        batch = decoder.decode(body).batch
    except MalformedRequest:
        assert expected is None, "alone, it is read"
        return
    assert expected is not None, "alone, it is refused"
    joined = encode_request(concatenate([first, batch]))
    assert joined == encode_request(concatenate([decode(_REQUEST_IN_FRONT).batch, expected])), "alone, it says something else"


def _spans(request: ExportTraceServiceRequest) -> int:
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def _json_samples() -> list[bytes]:
    return [path.read_bytes().strip() for path in sorted((CORPUS / "otlp_json").glob("*.json"))]


def _read_json(body: bytes) -> None:
    try:
        converted = json_to_protobuf(body)
    except MalformedRequest:
        return
    assert len(converted.protobuf) <= 3 * len(body), "it has grown too much"
    spans = _spans(ExportTraceServiceRequest.FromString(converted.protobuf))
    decoded = decode(converted.protobuf)
    assert len(decoded.batch) + sum(decoded.rejected.values()) == spans, "spans are missing"


def _zipkin_lists() -> list[list[dict[str, Any]]]:
    return [[EVERY_FIELD], [EVERY_FIELD, EVERY_FIELD | {"tags": {}, "localEndpoint": {"serviceName": "back"}}, {**EVERY_FIELD}]]


_EMPTY_RESOURCE: Final = 14


def _read_zipkin_json(body: bytes) -> None:
    try:
        converted = zipkin_json_to_otlp(body)
    except MalformedRequest:
        return
    assert len(converted.protobuf) <= 3 * MOST_GROWTH * len(body) + _EMPTY_RESOURCE, "it has grown too much"
    assert _zipkin_spans(converted) == _spans(ExportTraceServiceRequest.FromString(converted.protobuf)), "spans are missing"


def _read_zipkin_protobuf(body: bytes) -> None:
    try:
        spans = len(ListOfSpans.FromString(body).spans)
    except DecodeError:
        spans = -1
    refusal = ""
    try:
        converted = zipkin_protobuf_to_otlp(body)
    except MalformedRequest as error:
        refusal = str(error)
    if refusal:
        assert spans == -1 or "field number" in refusal, "the protobuf library reads this"
        return
    assert len(converted.protobuf) <= MOST_GROWTH * len(body) + _EMPTY_RESOURCE, "it has grown too much"
    assert spans in (-1, _zipkin_spans(converted)), "spans are missing"


def _zipkin_spans(converted: ConvertedRequest) -> int:
    """The spans that the decoder finds; those that it refuses are told of."""
    decoded = decode(converted.protobuf)
    refused = sum(decoded.rejected.values())
    assert bool(refused) == bool(converted.warnings), "a refused span is not named, or a span that was taken is"
    return len(decoded.batch) + refused


_PLAIN: Final = b"".join(b"line %d of something that is worth packing\n" % number for number in range(60))


def _packed() -> list[bytes]:
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return [
        gzip.compress(_PLAIN),
        gzip.compress(_PLAIN[:100]) + gzip.compress(_PLAIN[100:]),
        zlib.compress(_PLAIN),
        raw.compress(_PLAIN) + raw.flush(),
        zstd.compress(_PLAIN),
        lz4.frame.compress(_PLAIN),
        lz4.frame.compress(_PLAIN, content_checksum=True, block_checksum=True),
        bytes(cramjam.snappy.compress_raw(_PLAIN)),
        bytes(cramjam.snappy.compress(_PLAIN)),
    ]


def _undo_codings(body: bytes) -> None:
    for coding in CONTENT_CODINGS:
        try:
            assert len(decompress(coding, body, _LIMIT)) <= _LIMIT
        except (MalformedRequest, Refused):
            continue


def _blocks() -> list[bytes]:
    return [pack_blocks(_PLAIN), pack_blocks(b"") + pack_blocks(_PLAIN[:10]), pack_blocks(bytes(3000))]


def _unpack(body: bytes) -> None:
    try:
        assert len(unpack_blocks(body, _LIMIT)) <= _LIMIT
    except DatabaseError:
        return


def _native_blocks() -> list[bytes]:
    """Two blocks of a number, a text and a text with a dictionary, arrays of maps, a sketch, and an answer without rows."""
    columns = ((b"n", b"Int32", b"\x01\0\0\0\xff\xff\xff\xff"), (b"t", b"String", b"\x01x\0"))
    plain = b"".join(bytes([len(name)]) + name + bytes([len(kind)]) + kind + data for name, kind, data in columns)
    dictionary = struct.pack("<QQQ", 1, 0x600, 2) + b"\0\x01y" + struct.pack("<Q", 2) + b"\x01\0"
    block = b"\x03\x02" + plain + b"\x01d\x16LowCardinality(String)" + dictionary
    kind = b"Array(Map(LowCardinality(String), String))"
    nested = struct.pack("<QQQQ", 1, 1, 2, 1) + struct.pack("<Q", 2) + dictionary[8:] + b"\x01v\0"
    maps = b"\x01\x02\x01m" + bytes([len(kind)]) + kind + nested
    kind = b"SimpleAggregateFunction(sumMap, Map(Int16, Float64))"
    sketch = b"\x01\x01\x01s" + bytes([len(kind)]) + kind + struct.pack("<Q2h2d", 2, -1, 700, 1.0, 2.5)
    return [block + block, maps, sketch, b"\x01\0\x01n\x05Int32", b""]


def _read_blocks(body: bytes) -> None:
    try:
        columns = decode_blocks(body)
    except NativeError:
        return
    for column in columns.values():
        _check_column(column, len(body))


def _check_column(column: Column, size: int) -> None:
    match column:
        case Coded():
            assert all(code < len(column.texts) for code in column.codes.tolist())
        case Texts():
            assert all(0 <= end <= size for end in (column.offsets + column.lengths).tolist())
        case Lists() | Maps():
            bounds, *parts = column
            assert all(start <= end for start, end in itertools.pairwise(bounds.tolist()))
            for part in parts:
                _check_column(part, size)


_PARAMETERS: Final = [
    b"query=SELECT+1&database=otel&default_format=JSON&max_execution_time=5",
    b"query_id=a-b&session_id=s&session_timeout=60&session_check=1&compress=1&decompress=0&client_protocol_version=54460",
    b"param_id=%5C%09&param_at=2026-01-01&role=a&role=b&wait_end_of_query=1&user=default&password=",
]


def _read_parameters(body: bytes) -> None:
    pairs = parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True)
    try:
        parameters = read_parameters(pairs, {})
        assert parameters.session_timeout_s >= 0
        assert parameters.protocol_version >= 0
    except DatabaseError:
        return


_STATEMENTS: Final = [
    b"SELECT a, 'it''s \\' -- no comment', `b``c` FROM otel.otel_traces /* a /* comment */ WHERE x = {id:String} FORMAT JSON",
    b"INSERT INTO otel.t (a, b) SETTINGS async_insert=0, x='y' FORMAT Native\n\x01\x02",
    b"INSERT INTO t SELECT a FROM input('a UInt8, b String') FORMAT CSV\n1,2\n",
    b"WITH (1) AS x SELECT x SETTINGS max_threads = 1, readonly=2 -- end",
    b"INSERT INTO t VALUES (1, 'a)'), (2, $$b$$)",
    b"EXPLAIN SYNTAX SELECT 1; ",
]
_SQL_TOKENS: Final = [
    b" FORMAT ",
    b" SETTINGS ",
    b"INSERT INTO ",
    b"VALUES",
    b"'",
    b"`",
    b'"',
    b"/*",
    b"*/",
    b"--",
    b"$$",
    b"(",
    b")",
    b";",
]


def _read_statement(body: bytes) -> None:
    try:
        read_statement(body)
    except DatabaseError:
        return


_SEED: Final = 0x0123456789ABCDEF


def _segments() -> list[bytes]:
    bodies = _requests()
    whole = b""
    for number, body in zip(itertools.count(), bodies):
        whole += records.head(_SEED, records.REQUEST, number, 1, 7, b"default", body) + body
    return [whole, whole[: len(whole) // 2]]


def _scan(body: bytes) -> None:
    stop = 0
    for found in records.scan(memoryview(body), _SEED):
        assert found.offset == stop, "bytes are passed over, or read twice"
        stop = found.offset + found.size if isinstance(found, records.Record) else found.stop
    assert stop == len(body), "the end is not read"


_CONDITIONS: Final = [
    b'span.attributes["string"] == "/healthz" and span.status.code != STATUS_CODE_ERROR or not IsRootSpan()',
    b'(span.end_time - span.start_time) < Duration("2ms") and Int(attributes["string"]) >= -400',
    b'IsMatch(resource.attributes["string"], "^(GET|HEAD) \\\\d+") or Len(attributes["bytes"]) * 2 > -10 or trace_id == 0x0a0b',
    b'Split(name, "e")[1] == Substring(span.attributes["string"], 0, 3) or attributes["array"][5][0] == "nested"',
    b'Concat([span.kind, "x"], delimiter = "-") == "1-x" or attributes["kvlist"] == {"outer": [1, nil, true, 2.5e3]}',
    b'ParseJSON(ExtractPatterns(name, "(?P<a>.*)")["a"])["b"] == nil or FNV(trace_state["a"]) < 5',
]
_OTTL_TOKENS: Final = [
    b" and ",
    b" or ",
    b"not ",
    b"nil",
    b"true",
    b"(",
    b")",
    b"[",
    b"]",
    b'"',
    b"==",
    b"<",
    b"-",
    b"*",
    b"/ 0",
    b"SHA256(",
]


_PROMQL: Final = [
    b'sum by (le, service) (rate(traces_spanmetrics_latency_bucket{service=~"a|b", le!="+Inf"}[5m] offset -1h30m)) > bool 0x1F',
    b"topk(5, -calls_total ^ 2 / on (client) group_left (server) increase(x_total[1d])) or vector(1e3) unless absent(y) # end",
    b"histogram_quantile(scalar(vector(0.9)), max without () (a:b)) % Inf <= time() and {__name__='\\x41\\u00e4', b!~`c`}",
]
_PROMQL_TOKENS: Final = [
    b" by ",
    b" without ",
    b" on ",
    b" ignoring ",
    b" group_right ",
    b" bool ",
    b" offset ",
    b"[5m]",
    b"[5m:1m]",
    b"(",
    b")",
    b"{",
    b"}",
    b",",
    b"=~",
    b"!~",
    b'"',
    b"'",
    b"`",
    b"\\",
    b"NaN",
    b"-",
    b"^",
    b"@",
    b"rate(",
    b"sum(",
    b"topk(1,",
    b"le",
    b"#",
    b"\n",
]


def _read_promql(body: bytes) -> None:
    try:
        expression = read_promql(body.decode("utf-8", "surrogateescape"))
    except OttlError:
        return
    assert type_of(expression) in ("scalar", "vector", "matrix", "string")


def _read_condition(body: bytes) -> None:
    text = body.decode("utf-8", "surrogateescape")
    try:
        condition = read_condition(text, "span")
    except OttlError:
        return
    batch = _batch()
    truth = Evaluator(Fields(batch, attribute_keys([condition]))).evaluate(condition)
    assert truth.holds.shape == truth.failed.shape == (len(batch),)
    assert not (truth.holds & truth.failed).any()


_STATEMENTS_OF_OTTL: Final = [
    b'set(span.attributes["string"], Concat([span.name, span.kind], "-")) where span.status.code != STATUS_CODE_ERROR',
    b'replace_pattern(span.attributes["string"], "([a-z])+", "$1${x}$$", SHA256, "<%s>")',
    b'replace_all_patterns(span.attributes, "key", "^(?P<first>.)", "$first.") where IsRootSpan()',
    b'merge_maps(span.attributes, ExtractPatterns(span.name, "(?P<a>.*)"), "upsert")',
    b'merge_maps(resource.attributes, span.attributes["kvlist"], "insert") where span.attributes["int"] > 0',
    b'flatten(span.attributes, "p", 2)',
    b'limit(span.attributes, 3, ["string", "bytes"])',
    b'set(span.cache["a"]["b"], span.attributes["array"][5][0])',
    b'append(span.attributes["array"], values = [1, "a", {"b": nil}])',
    b'set(span.trace_state["a"], span.attributes["string"]) where spanevent.name == "x"',
    b'delete_index(span.attributes["array"], 0, 2)',
    b'keep_matching_keys(scope.attributes, "^.+$")',
    b"truncate_all(resource.attributes, 3)",
    b"stringify_all(span.attributes)",
]


def _do_statement(body: bytes) -> None:
    text = body.decode("utf-8", "surrogateescape")
    try:
        read_flat_statement(text)
    except OttlError:
        return
    batch = _batch()
    done = Transform(TransformProcessor.model_validate({"trace_statements": [text]})).process(batch)
    assert len(done.batch) == len(batch)
    assert _encoder().encode(done.batch).rows == len(batch)
    again = decode(encode_request(done.batch))
    assert (len(again.batch), again.rejected) == (len(batch), {}), "what is left cannot be read again"


@cache
def _batch() -> SpanBatch:
    return decode(_every_value(0).SerializeToString()).batch


def _answers() -> list[bytes]:
    partly = ExportTracePartialSuccess(rejected_spans=3, error_message="no room")
    status = status_pb2.Status(code=8, message="busy")
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2)))
    return [
        ExportTraceServiceResponse(partial_success=partly).SerializeToString(),
        status.SerializeToString(),
        b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no room"}}',
        b'{"code":3,"message":"bad","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest"}]}',
        b"Wed, 21 Oct 2026 07:28:00 GMT",
    ]


def _read_answer(body: bytes) -> None:
    text = body.decode("utf-8", "replace")
    for as_json in (False, True):
        partly = partial_success(body, as_json=as_json)
        assert partly is None or partly.refused >= 0
    for kind in ("application/json", "application/x-protobuf", "text/plain"):
        error = http_error(503, {"Content-Type": kind, "Retry-After": text}, body)
        assert 0 <= error.delay_s <= 300
    assert 0 <= grpc_error(8, text, (("grpc-status-details-bin", body),)).delay_s <= 300


_TRACE_STATES: Final = [
    b"ot=th:08;rv:0123456789abcd;p:8,vendor=value",
    b"rojo=00f067aa0ba902b7 , ,congo@tenant=t61rcWkgMzE,ot=th:0",
    b",".join(b"k%d=v" % number for number in range(32)),
]


def _read_trace_state(text: bytes) -> None:
    state = read_trace_state(text)
    if state is None:
        return
    for threshold in (None, state.threshold or 0, NEVER - 1):
        written = state.with_threshold(threshold)
        again = read_trace_state(written)
        assert again is not None, "what is written cannot be read"
        assert (again.threshold, again.randomness) == (threshold, state.randomness)
        assert again.with_threshold(threshold) == written


_POLICIES: Final = TailSamplingProcessor.model_validate(
    {
        "record_policy": True,
        "num_traces": 2,
        "policies": [
            {"name": "state", "type": "trace_state", "trace_state": {"key": "ot", "values": ["th:8"]}},
            {
                "name": "text",
                "type": "string_attribute",
                "string_attribute": {"key": "string", "values": ["."], "enabled_regex_matching": True},
            },
            {"name": "condition", "type": "ottl_condition", "ottl_condition": {"spanevent": ['attributes["k"] == 1']}},
            {"name": "limit", "type": "bytes_limiting", "bytes_limiting": {"bytes_per_second": 500}},
            {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}},
        ],
    }
)


def _sample_traces(body: bytes) -> None:
    """Each span is kept or dropped, and those that are kept are what they were but for what is written into them."""
    try:
        batch = decode(body).batch
    except MalformedRequest:
        return
    tail = TailSampler(_POLICIES)
    tail.add(batch, 1, 0)
    spans = 0
    while (decided := tail.decide(0) or tail.decide_all(0)) is not None:
        spans += sum(len(part.spans) for part in (*decided.kept, *decided.dropped))
        made = decided.batch()
        assert (0 if made is None else len(made)) == sum(len(part.spans) for part in decided.kept)
        if made is not None:
            encode_request(made)
    assert spans == len(batch)
    assert tail.pending_spans == tail.pending_bytes == 0


TARGETS: Final[dict[str, Target]] = {
    "promql": Target(lambda: _PROMQL, _read_promql, _PROMQL_TOKENS),
    "ottl": Target(lambda: _CONDITIONS, _read_condition, _OTTL_TOKENS),
    "ottl-statements": Target(
        lambda: _STATEMENTS_OF_OTTL,
        _do_statement,
        [*_OTTL_TOKENS, b" where ", b"set(", b"span.name", b"span.attributes", b"nil", b"0x00"],
    ),
    "otlp-protobuf": Target(_requests, _read_protobuf),
    "tail-sampling": Target(_requests, _sample_traces),
    "otlp-json": Target(
        _json_samples, _read_json, [b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"-", b"1e9", b"\\ud800"]
    ),
    "zipkin-protobuf": Target(lambda: list(map(to_protobuf, _zipkin_lists())), _read_zipkin_protobuf),
    "zipkin-json": Target(
        lambda: [json.dumps(spans).encode() for spans in _zipkin_lists()],
        _read_zipkin_json,
        [b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"-", b"1e9", b'""', b'"tags":', b'"id":'],
    ),
    "otlp-answers": Target(_answers, _read_answer, [b"{", b"}", b'"', b":", b"-1", b"9" * 30, b"GMT"]),
    "content-codings": Target(_packed, _undo_codings),
    "clickhouse-blocks": Target(_blocks, _unpack),
    "clickhouse-native": Target(
        _native_blocks, _read_blocks, [b"\x06String", b"\x06UInt64", b"\x16LowCardinality(String)", b"\xff" * 8]
    ),
    "clickhouse-parameters": Target(
        lambda: _PARAMETERS, _read_parameters, [b"&", b"=", b"%", b"%00", b"%ff", b"param_", b"readonly=0"]
    ),
    "clickhouse-statement": Target(lambda: _STATEMENTS, _read_statement, _SQL_TOKENS),
    "journal": Target(_segments, _scan),
    "grpc-connection": Target(grpc_connection.connections, grpc_connection.run_connection, grpc_connection.PIECES),
    "trace-state": Target(lambda: _TRACE_STATES, _read_trace_state, [b"ot=", b"th:", b"rv:", b";", b",", b"=", b"@", b" "]),
}
"""By name, every reader of bytes from outside that is fuzzed."""

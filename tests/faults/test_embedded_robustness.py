"""Whatever is sent to the embedded ClickHouse, the answer is one that a server would give, and the next request is answered."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.readers import House, house_in

_NAMES = st.sampled_from(
    [
        *(
            "query",
            "database",
            "default_format",
            "compress",
            "decompress",
            "buffer_size",
            "wait_end_of_query",
            "user",
            "password",
        ),
        *(
            "password",
            "role",
            "query_id",
            "client_protocol_version",
            "session_id",
            "session_timeout",
            "session_check",
            "close_session",
        ),
        *("param_x", "param_", "max_block_size", "limit", "", "a.b", "x y", "max_execution_time", "extremes", "readonly"),
        *("t_structure", "t_format", "format_csv_delimiter", "session_timezone", "max_threads", "enable_http_compression"),
    ]
)
_VALUES = st.sampled_from(
    [
        *("", "0", "1", "-1", "99999999999999999999", "1.5", "abc", "SELECT 1", "SELECT {x:String}", "INSERT INTO t FORMAT CSV"),
        *(
            "SELECT number FROM numbers(10)",
            "x'; SET ROLE ALL --",
            "\n",
            "\r\nX: y",
            "\0",
            "é",
            "'''''",
            "`",
            "\\",
            "{}",
            "a" * 3000,
        ),
        *("Native", "JSON", "Template", "CSV", "Protobuf", "Parquet", "54460", "otel", "system", "UTC", "true", "nan"),
    ]
) | st.text(max_size=20)
_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("X-ClickHouse-Format", "X-ClickHouse-Database", "X-ClickHouse-Query-Id", "Content-Encoding", "Accept-Encoding"),
            *("Content-Type", "X-ClickHouse-Quota", "Expect"),
        ]
    ),
    st.sampled_from(
        [
            *("", "gzip", "lz4", "zstd", "br", "snappy", "deflate", "identity", "xz", "x", "*", "gzip, br;q=0", "JSON", "otel"),
            *("multipart/form-data; boundary=b", "multipart/form-data", "application/x-www-form-urlencoded", "100-continue"),
        ]
    ),
    max_size=3,
)
_BODIES = st.sampled_from(
    [
        b"SELECT 1",
        b"SELECT '\xff'",
        b"\x1f\x8b\x08",
        b"--b\r\n",
        b"--b--",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 1\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="query"\r\n\r\n\xff\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n--b--\r\n',
    ]
) | st.binary(max_size=40)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_in(tmp_path_factory.mktemp("house")) as house:
        yield house


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["owner", "anyone", "ann"]),
    st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    st.dictionaries(_NAMES, _VALUES, max_size=5),
    _HEADERS,
    _BODIES,
)
@pytest.mark.soak
def test_every_answer_is_one_that_a_server_would_give(
    house: House, who: str, method: str, parameters: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    answer = getattr(house, who).request(method, parameters, body if method in ("POST", "PUT") else None, headers)
    if answer.status >= http.client.INTERNAL_SERVER_ERROR and answer.status != http.client.NOT_IMPLEMENTED:
        assert answer.headers["X-ClickHouse-Exception-Code"], answer.body
    assert house.ann.execute("SELECT count() FROM otel.otel_traces") == b"3\n"

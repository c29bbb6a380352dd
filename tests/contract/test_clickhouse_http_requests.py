"""ClickHouse's HTTP interface, request by request: the embedded server and a genuine one have to give the same answers."""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import hashlib
import http.client
import json
import lzma
import zlib
from uuid import uuid4

import lz4.frame
import pytest
import zstandard

from tests.support.clickhouse import ClickHouse


@pytest.fixture
def table(clickhouse: ClickHouse) -> str:
    name = f"numbers_{uuid4().hex}"
    clickhouse.execute(f"CREATE TABLE {name} (x UInt64, s String) ENGINE = MergeTree ORDER BY x")
    return name


@pytest.mark.parametrize("path", ["/", "/ping", "/replicas_status"])
def test_the_health_addresses_answer_ok(clickhouse: ClickHouse, path: str) -> None:
    answer = clickhouse.request("GET", path=path)
    assert (answer.status, answer.body) == (200, b"Ok.\n")


def test_an_unknown_address_is_not_found(clickhouse: ClickHouse) -> None:
    answer = clickhouse.request("GET", path="/nope")
    assert answer.status == 404
    assert answer.body.startswith(b"There is no handle /nope\n")


def test_the_answer_carries_the_headers_that_clients_read(clickhouse: ClickHouse) -> None:
    answer = clickhouse.get(query="SELECT 1 AS a", query_id=(query_id := uuid4().hex), wait_end_of_query="1")
    assert answer.body == b"1\n"
    assert answer.headers["X-ClickHouse-Query-Id"] == query_id
    assert answer.headers["X-ClickHouse-Format"] == "TSV"
    assert answer.headers["Content-Type"] == "text/tab-separated-values; charset=UTF-8"
    assert answer.headers["X-ClickHouse-Timezone"] == clickhouse.execute("SELECT timezone()").decode().strip()
    assert answer.headers["X-ClickHouse-Server-Display-Name"] == clickhouse.execute("SELECT displayName()").decode().strip()
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert {name: summary[name] for name in ("read_rows", "written_rows", "result_rows")} == {
        "read_rows": "1",
        "written_rows": "0",
        "result_rows": "1",
    }


def test_a_query_id_header_is_used_when_there_is_no_parameter(clickhouse: ClickHouse) -> None:
    query_id = uuid4().hex
    assert clickhouse.get({"X-ClickHouse-Query-Id": query_id}, query="SELECT 1").headers["X-ClickHouse-Query-Id"] == query_id


@pytest.mark.parametrize(
    ("answer_format", "content_type"),
    [
        ("JSON", "application/json; charset=UTF-8"),
        ("JSONCompact", "application/json; charset=UTF-8"),
        ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
        ("JSONCompactEachRowWithNamesAndTypes", "text/plain; charset=UTF-8"),
        ("TabSeparatedWithNamesAndTypes", "text/tab-separated-values; charset=UTF-8"),
        ("CSV", "text/csv; charset=UTF-8; header=absent"),
        ("CSVWithNames", "text/csv; charset=UTF-8; header=present"),
        ("RowBinaryWithNamesAndTypes", "application/octet-stream"),
        ("Native", "application/octet-stream"),
        ("ArrowStream", "application/octet-stream"),
        ("Parquet", "application/octet-stream"),
        ("XML", "application/xml; charset=UTF-8"),
        ("Null", "text/plain; charset=UTF-8"),
    ],
)
def test_the_content_type_follows_the_format(clickhouse: ClickHouse, answer_format: str, content_type: str) -> None:
    for answer in (
        clickhouse.get(query=f"SELECT 1 AS a FORMAT {answer_format}"),
        clickhouse.get(query="SELECT 1 AS a", default_format=answer_format),
        clickhouse.get({"X-ClickHouse-Format": answer_format}, query="SELECT 1 AS a", default_format="CSV"),
    ):
        assert answer.status == 200
        assert (answer.headers["Content-Type"], answer.headers["X-ClickHouse-Format"]) == (content_type, answer_format)


def test_an_answer_of_several_blocks_is_one_document(embedded_clickhouse: ClickHouse, genuine_clickhouse: ClickHouse) -> None:
    formats = genuine_clickhouse.execute("SELECT name FROM system.formats WHERE is_output ORDER BY name").decode().split()
    compared = 0
    for answer_format in formats:
        # These tell of the release, or how far a query has come, or are packets of another protocol.
        if answer_format in ("Avro", "MySQLWire", "ORC", "Parquet") or "Progress" in answer_format:
            continue
        for columns in ("number, toString(number) AS text", "number"):
            query = f"SELECT {columns} FROM numbers(10)"
            parameters = {"default_format": answer_format, "max_block_size": "3", "output_format_write_statistics": "0"}
            expected, found = (each.post(query, **parameters) for each in (genuine_clickhouse, embedded_clickhouse))
            if expected.status == 200:
                assert found.body == expected.body, answer_format
                compared += 1
    assert compared > 100


def test_json_answers_name_columns_and_rows(clickhouse: ClickHouse) -> None:
    answer = json.loads(clickhouse.execute("SELECT number AS n, 'x' AS s FROM numbers(2) FORMAT JSON"))
    assert answer["meta"] == [{"name": "n", "type": "UInt64"}, {"name": "s", "type": "String"}]
    assert answer["data"] == [{"n": 0, "s": "x"}, {"n": 1, "s": "x"}]
    assert answer["rows"] == 2
    assert "statistics" in answer


def test_the_body_continues_the_query_of_the_url(clickhouse: ClickHouse) -> None:
    assert clickhouse.post(" + 5", query="SELECT 1").body == b"6\n"


def test_a_semicolon_at_the_end_is_allowed_and_a_second_statement_is_not(clickhouse: ClickHouse) -> None:
    assert clickhouse.post("SELECT 1;").body == b"1\n"
    answer = clickhouse.post("SELECT 1; SELECT 2")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "62")
    assert b"Multi-statements are not allowed" in answer.body


@pytest.mark.parametrize(
    ("statement", "code", "status"),
    [
        ("", "62", 400),
        ("SELEC 1", "62", 400),
        ("SELECT nope", "47", 404),
        ("SELECT nope(1)", "46", 404),
        ("SELECT * FROM no_such_table", "60", 404),
        ("SELECT * FROM no_such_database.t", "81", 404),
        ("SELECT 1 FORMAT Nope", "73", 404),
        ("SELECT 1 SETTINGS nope = 1", "115", 404),
        ("SELECT throwIf(1)", "395", 500),
        ("SELECT toUInt8('x')", "6", 400),
        ("SELECT 1 + 'a'", "43", 500),
        ("SELECT {x:UInt8}", "456", 500),
        ("SELECT 1 INTO OUTFILE 'x'", "358", 500),
        ("SELECT sleep(3) SETTINGS max_execution_time = 1", "159", 408),
        ("SELECT groupArray(number) FROM numbers(10000000) SETTINGS max_memory_usage = 1000000", "241", 500),
    ],
)
def test_errors_have_their_code_and_status(clickhouse: ClickHouse, statement: str, code: str, status: int) -> None:
    answer = clickhouse.post(statement)
    assert (answer.headers["X-ClickHouse-Exception-Code"], answer.status) == (code, status), answer.body
    assert answer.body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert b"(version 26." in answer.body
    assert answer.body.endswith(b")\n")


def test_an_error_after_the_first_byte_stands_in_a_frame(clickhouse: ClickHouse) -> None:
    answer = clickhouse.get(query="SELECT throwIf(number = 9000000) FROM numbers(10000000)")
    assert answer.status == 200
    assert not answer.complete
    tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
    _, mark, frame = answer.body.partition(b"\r\n__exception__\r\n" + tag + b"\r\n")
    text, end, rest = frame.rpartition(b" " + tag + b"\r\n__exception__\r\n")
    assert mark
    assert end
    assert rest == b""
    text, _, length = text.rpartition(b"\n")
    assert text.startswith(b"Code: 395. DB::Exception: ")
    assert int(length) == len(text) + 1


def test_waiting_for_the_end_turns_a_late_error_into_a_status(clickhouse: ClickHouse) -> None:
    answer = clickhouse.get(query="SELECT throwIf(number = 9000000) FROM numbers(10000000)", wait_end_of_query="1")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "395")


def test_get_may_not_write(clickhouse: ClickHouse, table: str) -> None:
    for statement in (
        f"INSERT INTO {table} VALUES (1, 'a')",
        "CREATE TABLE t_by_get (x Int8) ENGINE = Memory",
        f"DROP TABLE {table}",
    ):
        answer = clickhouse.get(query=statement)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "164")
        assert b"method GET implies readonly" in answer.body


def test_get_may_change_settings(clickhouse: ClickHouse) -> None:
    assert clickhouse.get(query="SELECT getSetting('max_block_size')", max_block_size="77").body == b"77\n"


def test_settings_hold_for_one_request(clickhouse: ClickHouse) -> None:
    assert clickhouse.post("SELECT getSetting('max_block_size')", max_block_size="77").body == b"77\n"
    assert clickhouse.post("SELECT getSetting('max_block_size')").body != b"77\n"


def test_an_unknown_setting_is_refused(clickhouse: ClickHouse) -> None:
    answer = clickhouse.get(query="SELECT 1", nosuch="1")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "115")


def test_a_read_only_request_may_not_write(clickhouse: ClickHouse, table: str) -> None:
    assert clickhouse.post(f"INSERT INTO {table} VALUES (1, 'a')", readonly="1").headers["X-ClickHouse-Exception-Code"] == "164"


def test_parameters_are_bound_in_tsv_escapes(clickhouse: ClickHouse) -> None:
    answer = clickhouse.get(
        query="SELECT {n:UInt8}, {s:String}, {l:Array(String)}", param_n="7", param_s="a\\tb'c", param_l="['x','y']"
    )
    assert answer.body == b"7\ta\\tb\\'c\t['x','y']\n"


def test_the_database_comes_from_the_parameter_or_the_header(clickhouse: ClickHouse) -> None:
    assert clickhouse.get(query="SELECT currentDatabase()", database="system").body == b"system\n"
    header = {"X-ClickHouse-Database": "system"}
    assert clickhouse.get(header, query="SELECT currentDatabase()", database="default").body == b"system\n"
    assert clickhouse.get(query="SELECT currentDatabase()").body == b"default\n"
    answer = clickhouse.get(query="SELECT 1", database="no_such_database")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "81")


def test_a_post_without_length_is_refused(clickhouse: ClickHouse) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", clickhouse.http_port, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/?query=SELECT+1")
        connection.endheaders()
        response = connection.getresponse()
        assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (411, "381")


@pytest.mark.parametrize(
    "pack",
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("lz4", lz4.frame.compress),
    ],
    ids=lambda pack: pack[0],
)
def test_bodies_may_be_packed(clickhouse: ClickHouse, table: str, pack: tuple) -> None:  # type: ignore[type-arg]  # name and function
    encoding, compress = pack
    headers = {"Content-Encoding": encoding}
    assert clickhouse.post(compress(b"1\ta\n2\tb\n"), headers, query=f"INSERT INTO {table} FORMAT TSV").status == 200
    assert clickhouse.post(compress(f"INSERT INTO {table} FORMAT TSV\n3\tc\n".encode()), headers).status == 200
    assert clickhouse.post(compress(f"SELECT sum(x) FROM {table}".encode()), headers).body == b"6\n"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("lz4", lz4.frame.compress),
        ("xz", lzma.compress),
        ("bz2", bz2.compress),
    ],
)
def test_a_statement_whose_end_is_missing_is_not_run(embedded_clickhouse: ClickHouse, encoding: str, pack) -> None:  # type: ignore[no-untyped-def]  # bytes to bytes
    # A genuine server runs some of these: it does not miss the last byte of lz4's frames.
    numbers = ",".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(2000))
    packed = pack(f"SELECT 1 -- {numbers}".encode())
    assert embedded_clickhouse.post(packed, {"Content-Encoding": encoding}).body == b"1\n"
    for size in (len(packed) // 2, len(packed) - 1):
        answer = embedded_clickhouse.post(packed[:size], {"Content-Encoding": encoding})
        assert answer.status != 200, size


@pytest.mark.parametrize(
    ("encoding", "unpack"),
    [
        ("gzip", gzip.decompress),
        ("deflate", zlib.decompress),
        ("zstd", lambda data: zstandard.ZstdDecompressor().stream_reader(data).read()),
        ("lz4", lz4.frame.decompress),
    ],
)
def test_answers_are_packed_as_the_client_accepts(clickhouse: ClickHouse, encoding: str, unpack) -> None:  # type: ignore[no-untyped-def]  # bytes to bytes
    plain = b"".join(b"%d\n" % number for number in range(200_000))
    answer = clickhouse.get(
        {"Accept-Encoding": encoding}, query="SELECT number FROM numbers(200000)", enable_http_compression="1"
    )
    assert answer.headers["Content-Encoding"] == encoding
    assert unpack(answer.body) == plain
    answer = clickhouse.get({"Accept-Encoding": encoding}, query="SELECT 1", enable_http_compression="0")
    assert answer.headers["Content-Encoding"] is None
    assert answer.body == b"1\n"


def test_an_unknown_packing_is_refused(clickhouse: ClickHouse, table: str) -> None:
    answer = clickhouse.post(b"1\ta\n", {"Content-Encoding": "foo"}, query=f"INSERT INTO {table} FORMAT TSV")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (501, "48")


def test_errors_are_packed_as_well(clickhouse: ClickHouse) -> None:
    answer = clickhouse.get({"Accept-Encoding": "gzip"}, query="SELECT nope")
    assert answer.status == 404
    assert gzip.decompress(answer.body).startswith(b"Code: 47.")


def test_an_insert_reads_its_rows_wherever_they_stand(clickhouse: ClickHouse, table: str) -> None:
    for body, parameters in [
        (f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')", {}),
        ("(3, 'c')", {"query": f"INSERT INTO {table} VALUES"}),
        (f'INSERT INTO {table} (x) FORMAT JSONEachRow\n{{"x": 4}}\n', {}),
        (f"INSERT INTO {table} FORMAT TSV\r\n5\te\n", {}),
        (f"INSERT INTO {table} (s, x) SETTINGS async_insert = 0 FORMAT CSV\n'f',6\n", {}),
        ('{"x": 7, "s": ");--"}', {"query": f"INSERT INTO {table} /* values */ FORMAT JSONEachRow"}),
        (f"INSERT INTO {table} SELECT 8, 'h'", {}),
        ("9,i\n", {"query": f"INSERT INTO {table} SELECT y, z FROM input('y UInt8, z String') FORMAT CSV"}),
        ("", {"query": f"INSERT INTO {table} FORMAT Native"}),
    ]:
        answer = clickhouse.request("POST", parameters, body.encode())
        assert answer.status == 200, answer.body
        assert answer.body == b""
    assert clickhouse.execute(f"SELECT count(), sum(x) FROM {table}") == b"9\t45\n"


def test_the_summary_counts_what_an_insert_wrote(clickhouse: ClickHouse, table: str) -> None:
    answer = clickhouse.post(b"1\ta\n2\tb\n", query=f"INSERT INTO {table} FORMAT TSV", wait_end_of_query="1", async_insert="0")
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"


def test_a_bad_row_is_refused_and_named(clickhouse: ClickHouse, table: str) -> None:
    answer = clickhouse.post(b"1\ta\nx\tb\n", query=f"INSERT INTO {table} FORMAT TSV")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "27")
    assert b"at row 2" in answer.body
    assert b"/proc/" not in answer.body
    assert clickhouse.execute(f"SELECT count() FROM {table}") == b"0\n"


def test_an_insert_with_the_same_token_is_stored_once(clickhouse: ClickHouse) -> None:
    table = f"deduplicated_{uuid4().hex}"
    clickhouse.execute(
        f"CREATE TABLE {table} (x UInt64) ENGINE = MergeTree ORDER BY x SETTINGS non_replicated_deduplication_window = 100"
    )
    for body, token in ((b"1\n", "a"), (b"1\n", "a"), (b"1\n", "b")):
        answer = clickhouse.post(
            body, query=f"INSERT INTO {table} FORMAT TSV", insert_deduplication_token=token, async_insert="0"
        )
        assert answer.status == 200
    assert clickhouse.execute(f"SELECT count() FROM {table}") == b"2\n"


def test_the_users_name_may_come_in_three_ways(clickhouse: ClickHouse) -> None:
    basic = base64.b64encode(b"default:").decode()
    for answer in (
        clickhouse.get({"Authorization": f"Basic {basic}"}, query="SELECT currentUser()"),
        clickhouse.get({"X-ClickHouse-User": "default"}, query="SELECT currentUser()"),
        clickhouse.get(query="SELECT currentUser()", user="default", password=""),
    ):
        assert answer.body == b"default\n"


def test_wrong_names_and_passwords_are_refused(clickhouse: ClickHouse) -> None:
    basic = base64.b64encode(b"default:wrong").decode()
    for answer, status, code in (
        (clickhouse.get(query="SELECT 1", user="bob", password="x"), 403, "516"),
        (clickhouse.get({"X-ClickHouse-User": "bob"}, query="SELECT 1"), 403, "516"),
        (clickhouse.get({"Authorization": f"Basic {basic}"}, query="SELECT 1"), 401, "194"),
        (clickhouse.get({"Authorization": "Bearer x"}, query="SELECT 1"), 403, "516"),
        (clickhouse.get({"Authorization": f"Basic {basic}", "X-ClickHouse-User": "default"}, query="SELECT 1"), 403, "516"),
    ):
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code), answer.body


def test_external_tables_come_in_a_form(clickhouse: ClickHouse) -> None:
    boundary = "xxx"
    parts = [
        ('name="query"', "SELECT sum(a), sum(_1) FROM named, numbered"),
        ('name="named"; filename="a"', "1\n2\n"),
        ('name="numbered"; filename="b"', "10\n"),
    ]
    body = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n" for head, text in parts)
    answer = clickhouse.post(
        body + f"--{boundary}--\r\n",
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
        named_structure="a UInt8",
        named_format="TSV",
        numbered_types="UInt8",
    )
    assert (answer.status, answer.body) == (200, b"3\t20\n")

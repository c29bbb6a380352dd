"""Native blocks and ClickHouse's own compression, byte by byte against a genuine server, and through clickhouse-connect."""

from __future__ import annotations

import struct
import tracemalloc
from uuid import uuid4

import clickhouse_connect
import lz4.block
import numpy as np
import pytest
import zstandard

from exporters.embedded.block_compression import pack_blocks, unpack_blocks
from exporters.embedded.city_hash import city_hash_128
from exporters.embedded.errors import DatabaseError
from exporters.embedded.native import BlockFraming
from tests.support.clickhouse import ClickHouse

_COLUMNS = [
    "toUInt8(number)",
    "toInt256(number)",
    "toString(number)",
    "repeat('x', 300)",
    "toFixedString('abc', 3)",
    "toLowCardinality(toString(number % 3))",
    "CAST(NULL AS LowCardinality(Nullable(String)))",
    "toNullable(number)",
    "NULL",
    "range(number)",
    "arrayMap(x -> toLowCardinality(toString(x)), range(number))",
    "map('k', toString(number))",
    "CAST([map('k', 'v'), map()] AS Array(Map(LowCardinality(String), String)))",
    "(number, 'a')",
    "CAST((1, 'a') AS Tuple(first UInt8, `second name` String))",
    "CAST([(1, 'x')] AS Nested(a UInt8, b String))",
    "toDateTime64(number, 9, 'UTC')",
    "toDate(number)",
    "toDecimal128(number, 2)",
    "CAST('a' AS Enum8('a' = 1, 'b, (' = 2))",
    "toIPv4('1.2.3.4')",
    "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')",
    "CAST(number AS Variant(UInt64, String))",
    "[]",
    "tuple()",
    "CAST((1.5, 2.5) AS Point)",
    "toIntervalDay(1)",
    "number = 1",
]


@pytest.mark.parametrize("column", _COLUMNS)
@pytest.mark.parametrize("revision", [54405, 54454, 54460])
def test_a_block_has_the_shape_of_the_clients_revision(clickhouse: ClickHouse, column: str, revision: int) -> None:
    for rows in (0, 5):
        statement = f"SELECT {column} AS c, 'end' FROM numbers({rows}) ORDER BY number FORMAT Native"
        plain = clickhouse.post(statement).body
        answer = clickhouse.post(statement, client_protocol_version=str(revision))
        assert answer.status == 200, answer.body
        assert answer.body == BlockFraming(revision, one_block_each=False).feed(plain)


def test_every_block_of_a_large_answer_is_framed(clickhouse: ClickHouse) -> None:
    statement = "SELECT number, toString(number) AS s, map('k', s) AS m FROM numbers(200000) FORMAT Native"
    plain = clickhouse.post(statement, max_block_size="10000", max_threads="1").body
    for wait in ("0", "1"):
        framed = clickhouse.post(
            statement, max_block_size="10000", max_threads="1", client_protocol_version="54460", wait_end_of_query=wait
        ).body
        assert framed == BlockFraming(54460, one_block_each=False).feed(plain)


def test_the_revision_that_the_server_names_is_new_enough(clickhouse: ClickHouse) -> None:
    assert int(clickhouse.execute("SELECT revision()")) >= 54454


def test_answers_come_in_compressed_blocks(clickhouse: ClickHouse) -> None:
    plain = b"".join(b"%d\n" % number for number in range(500_000))
    answer = clickhouse.post("SELECT number FROM numbers(500000)", compress="1")
    assert unpack_blocks(answer.body, 1 << 30) == plain
    assert unpack_blocks(clickhouse.post("SELECT nope", compress="1").body, 1 << 20).startswith(b"Code: 47.")


@pytest.mark.parametrize("method", ["lz4", "zstd"])
def test_bodies_come_in_compressed_blocks(clickhouse: ClickHouse, method: str) -> None:
    table = f"blocks_{uuid4().hex}"
    clickhouse.execute(f"CREATE TABLE {table} (x UInt64) ENGINE = MergeTree ORDER BY x")
    rows = b"".join(b"%d\n" % number for number in range(300_000))
    packed = pack_blocks(rows) if method == "lz4" else _zstd_block(rows)
    answer = clickhouse.post(packed, query=f"INSERT INTO {table} FORMAT TSV", decompress="1")
    assert answer.status == 200, answer.body
    assert clickhouse.execute(f"SELECT count(), sum(x) FROM {table}") == b"300000\t44999850000\n"
    answer = clickhouse.post(pack_blocks(f"SELECT max(x) FROM {table}".encode()), decompress="1")
    assert answer.body == b"299999\n"


def test_damaged_blocks_are_refused(clickhouse: ClickHouse) -> None:
    packed = pack_blocks(b"SELECT 1")
    for damaged, code in (
        (packed[:-1] + bytes([packed[-1] ^ 1]), "271"),
        (bytes(16) + packed[16:], "271"),
        (packed[:-3], "33"),
        (packed[:10], "33"),
    ):
        answer = clickhouse.post(damaged, decompress="1")
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, code), answer.body


def test_a_block_that_holds_more_than_it_says_takes_no_memory() -> None:
    """The frame's own word must not be taken for it: a few bytes may stand for as many as there are addresses."""
    plain = bytes(1 << 28)
    body = _zstd_block(plain, said=100)
    tracemalloc.start()
    try:
        with pytest.raises(DatabaseError) as refusal:
            unpack_blocks(body, 1 << 20)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refusal.value.code == 271
    assert taken < 1 << 20


def test_clickhouse_connect_stores_and_reads(clickhouse: ClickHouse) -> None:
    table = f"connect_{uuid4().hex}"
    with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse.http_port) as client:
        assert client.ping()
        client.command(
            f"CREATE TABLE {table} (t DateTime64(9), s LowCardinality(String), m Map(LowCardinality(String), String), "
            "a Array(String), n Nullable(UInt64)) ENGINE = MergeTree ORDER BY t"
        )
        rows = [
            (1_700_000_000_000_000_000 + i, f"s{i % 3}", {"k": f"v{i}"}, ["x"] * (i % 4), i if i % 2 else None)
            for i in range(1000)
        ]
        summary = client.insert(table, rows, column_names=["t", "s", "m", "a", "n"])
        assert summary.written_rows == 1000
        found = client.query(f"SELECT toUnixTimestamp64Nano(t), s, m, a, n FROM {table} ORDER BY t").result_rows
        assert [tuple(row) for row in found] == [(t, s, m, a, n) for t, s, m, a, n in rows]
        found = client.query(
            f"SELECT count() FROM {table} WHERE s = {{s:String}}", parameters={"s": "s1"}, settings={"max_threads": 1}
        )
        assert found.result_rows == [(333,)]
        assert client.query(f"SELECT s FROM {table} LIMIT 0").column_names == ("s",)
        with client.query_row_block_stream(f"SELECT n FROM {table}") as stream:
            assert sum(len(block) for block in stream) == 1000
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="no_such_table"):
            client.query("SELECT * FROM no_such_table")


def _zstd_block(plain: bytes, said: int | None = None) -> bytes:
    """A block of these bytes, which says that they are so many."""
    payload = zstandard.ZstdCompressor().compress(plain)
    block = struct.pack("<BII", 0x90, 9 + len(payload), len(plain) if said is None else said) + payload
    checksum = city_hash_128(np.frombuffer(block, np.uint8))
    return struct.pack("<QQ", *(int(half) for half in checksum)) + block


def test_blocks_survive_packing() -> None:
    data = bytes(range(256)) * 10_000
    packed = pack_blocks(data)
    assert unpack_blocks(packed, len(data)) == data
    assert (
        lz4.block.decompress(packed[25 : 16 + struct.unpack_from("<I", packed, 17)[0]], uncompressed_size=1 << 20)
        == data[: 1 << 20]
    )

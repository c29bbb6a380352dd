"""What readers of the embedded ClickHouse may use, and what is left to the daemon when they use all of it."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.clickhouse import Answer, ClickHouse
from tests.support.daemon import eventually
from tests.support.readers import House, house_in

_READERS = 4


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    limits = f'{{"max_reader_queries": {_READERS * 4}, "max_reader_body_bytes": 100000, "reader_body_timeout_s": 0.5, '
    limits += f'"max_reader_memory_bytes": {_READERS << 28}, "reader_answer_timeout_s": 0.5}}'
    with house_in(tmp_path_factory.mktemp("house"), "--server-limits", limits) as house:
        yield house


def _code(answer: Answer) -> str:
    return str(answer.headers["X-ClickHouse-Exception-Code"])


@contextmanager
def _slow_queries(reader: ClickHouse, owner: ClickHouse, count: int) -> Iterator[None]:
    """So many queries of a reader, running until the context ends."""
    statement = "SELECT count(sleepEachRow(3)) AS slow FROM numbers(20) SETTINGS max_block_size = 1"
    threads = [threading.Thread(target=reader.post, args=(statement,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    mark = "query LIKE '%AS slow%' AND query NOT LIKE '%system.processes%'"
    try:
        statement = f"SELECT count() FROM system.processes WHERE {mark}"
        eventually(lambda: int(owner.execute(statement)) == count, "slow queries that run")
        yield
    finally:
        owner.execute(f"KILL QUERY WHERE {mark} ASYNC")
        for thread in threads:
            thread.join(60)


@pytest.mark.parametrize("parameters", [{}, {"max_execution_time": "0"}, {"max_execution_time": "3600"}], ids=str)
def test_a_query_ends_when_its_time_is_over(house: House, parameters: dict[str, str]) -> None:
    statement = "SELECT count(sleepEachRow(1)) FROM numbers(100) SETTINGS max_block_size = 1"
    assert _code(house.cut.post(statement, None, **parameters)) == "159"


def test_a_query_ends_when_its_memory_is_used_up(house: House) -> None:
    assert _code(house.cut.post("SELECT length(groupArray(number)) FROM numbers(100000000)")) == "241"


def test_no_query_goes_on_with_files_on_disk(house: House) -> None:
    for statement in (
        "SELECT number FROM numbers(30000000) ORDER BY sipHash64(number) LIMIT 1 OFFSET 29999999",
        "SELECT count() FROM (SELECT sipHash64(number) AS h FROM numbers(30000000) GROUP BY h)",
        "SELECT count() FROM numbers(9) AS a JOIN (SELECT number, sipHash64(number) FROM numbers(30000000)) AS b USING number",
    ):
        assert _code(house.cut.post(statement)) in ("241", "159")
    assert house.owner.execute("SELECT sum(value) FROM system.events WHERE event LIKE 'ExternalProcessing%'") == b"0\n"


def test_an_answer_ends_when_it_has_too_many_rows(house: House) -> None:
    assert _code(house.cut.post("SELECT number FROM numbers(11)", wait_end_of_query="1")) == "396"
    assert len(house.cut.execute("SELECT number FROM numbers(10)").split()) == 10


def test_a_reader_has_so_many_queries_at_a_time_and_others_are_not_held_up(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.cut.http_port)) as client:
        # A request counts from its head on, so that one that never ends holds up its sender alone.
        client.sendall(b"POST /?user=cut&password=pw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
        eventually(lambda: _code(house.cut.post("SELECT 1")) == "202", "a refusal")
        assert house.ann.post("SELECT 1").status == 200


def test_a_body_is_small_and_comes_soon(house: House) -> None:
    assert _code(house.ann.post(f"SELECT '{'x' * 100_000}'")) == "229"
    with socket.create_connection(("127.0.0.1", house.ann.http_port)) as client:
        head = "POST /?user=ann&password=pw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nSELECT"
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_small_body_does_not_become_a_large_one(house: House) -> None:
    packed = gzip.compress(b" " * (64 << 20))
    assert _code(house.ann.post(packed, {"Content-Encoding": "gzip"})) == "229"


def test_a_flood_of_readers_leaves_the_daemon_its_share(house: House) -> None:
    with _slow_queries(house.ann, house.owner, _READERS):
        for number in range(20):
            house.owner.execute(f"INSERT INTO otel.otel_traces (TraceId, Workspace) VALUES ('flood', 'flood{number}')")
        statement = "SELECT count() FROM otel.otel_traces WHERE TraceId = 'flood'"
        assert house.owner.execute(statement) == b"20\n"


def test_queries_take_turns_at_the_memory_that_readers_have(house: House) -> None:
    statement = "SELECT length(groupArray(repeat(toString(number), 20))) FROM numbers(100000000)"
    with ThreadPoolExecutor(2 * _READERS) as readers:
        hungry = [readers.submit(house.ann.post, statement) for _ in range(2 * _READERS)]
        while not all(each.done() for each in hungry):
            house.owner.execute("INSERT INTO otel.otel_traces (TraceId, Workspace) SELECT 'hungry', 'beta' FROM numbers(10000)")
    # Each has all that it may take, and none was refused for what the others took.
    assert {_code(each.result()) for each in hungry} == {"241"}
    assert all(b"Query memory limit exceeded" in each.result().body for each in hungry)


def test_who_asks_often_does_not_keep_others_out(house: House) -> None:
    with _slow_queries(house.ann, house.owner, _READERS), ThreadPoolExecutor(_READERS) as waiting:
        later = [waiting.submit(house.ann.post, "SELECT 'later'") for _ in range(_READERS)]
        house.owner.execute("KILL QUERY WHERE query LIKE '%AS slow%' AND query NOT LIKE '%system.processes%' SYNC")
        assert house.ben.execute("SELECT 1") == b"1\n"
        assert {each.result().body for each in later} == {b"later\n"}


def test_an_answer_that_nobody_reads_is_cut(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.cut.http_port)) as client:
        head = "GET /?user=cut&password=pw&query=SELECT+repeat('x',1000000)+FROM+numbers(10)+SETTINGS+max_block_size=1 HTTP/1.1"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(f"{head}\r\nHost: localhost\r\n\r\n".encode())
        eventually(lambda: house.cut.post("SELECT 1").status == 200, "the place of an answer that nobody reads")


def test_sessions_are_bounded(house: House) -> None:
    codes = {_code(house.ann.post("SELECT 1", session_id=f"many{number}")) for number in range(300)}
    assert codes == {"None", "202"}
    assert house.ben.post("SELECT 1", session_id="one").status == 200

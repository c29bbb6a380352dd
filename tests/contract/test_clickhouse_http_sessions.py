"""Sessions, running queries and their end, over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.support.clickhouse import Answer, ClickHouse

_DEADLINE_S = 30


def _eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        if condition():
            return True
    return False


def _running(clickhouse: ClickHouse, mark: str) -> int:
    statement = f"SELECT count() FROM system.processes WHERE query LIKE '%{mark}%' AND query NOT LIKE '%system.processes%'"
    return int(clickhouse.execute(statement))


@contextmanager
def _slow_query(clickhouse: ClickHouse, mark: str, **parameters: str) -> Iterator[list[Answer]]:
    """A query of some minutes, running in a thread; its answer appears in the list."""
    answers: list[Answer] = []
    statement = f"SELECT sum(sipHash64(number)) AS {mark} FROM numbers(100000000000)"
    thread = threading.Thread(target=lambda: answers.append(clickhouse.post(statement, None, **parameters)))
    thread.start()
    try:
        assert _eventually(lambda: _running(clickhouse, mark) == 1)
        yield answers
    finally:
        clickhouse.execute(f"KILL QUERY WHERE query LIKE '%{mark}%' AND query NOT LIKE 'KILL%' ASYNC")
        thread.join(_DEADLINE_S)


def test_a_session_keeps_settings_database_and_temporary_tables(clickhouse: ClickHouse) -> None:
    session = uuid4().hex
    for statement in (
        "SET max_block_size = 77",
        "USE system",
        "CREATE TEMPORARY TABLE kept (x UInt8)",
        "INSERT INTO kept VALUES (5)",
    ):
        assert clickhouse.post(statement, session_id=session).status == 200
    answer = clickhouse.post("SELECT getSetting('max_block_size'), currentDatabase(), x FROM kept", session_id=session)
    assert answer.body == b"77\tsystem\t5\n"
    assert clickhouse.post("SELECT x FROM kept", session_id=uuid4().hex).status == 404


def test_parameters_of_a_request_do_not_stay_in_its_session(clickhouse: ClickHouse) -> None:
    session = uuid4().hex
    clickhouse.post("SET max_block_size = 77", session_id=session)
    answer = clickhouse.post(
        "SELECT getSetting('max_block_size'), currentDatabase()", session_id=session, max_block_size="99", database="system"
    )
    assert answer.body == b"99\tsystem\n"
    answer = clickhouse.post("SELECT getSetting('max_block_size'), currentDatabase()", session_id=session)
    assert answer.body == b"77\tdefault\n"


def test_get_in_a_session_leaves_it_writable(clickhouse: ClickHouse) -> None:
    session = uuid4().hex
    clickhouse.post("CREATE TEMPORARY TABLE kept (x UInt8)", session_id=session)
    assert clickhouse.get(query="SELECT count() FROM kept", session_id=session).body == b"0\n"
    answer = clickhouse.get(query="CREATE TABLE lasting (x UInt8) ENGINE = Memory", session_id=session)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert clickhouse.post("INSERT INTO kept VALUES (1)", session_id=session).status == 200


def test_a_session_that_must_exist_and_does_not_is_an_error(clickhouse: ClickHouse) -> None:
    answer = clickhouse.get(query="SELECT 1", session_id=uuid4().hex, session_check="1")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "372")


def test_a_closed_session_is_gone(clickhouse: ClickHouse) -> None:
    session = uuid4().hex
    assert clickhouse.get(query="SELECT 1", session_id=session, close_session="1").status == 200
    assert clickhouse.get(query="SELECT 1", session_id=session, session_check="1").headers["X-ClickHouse-Exception-Code"] == "372"


def test_a_session_time_out_has_to_be_a_number_and_at_most_an_hour(clickhouse: ClickHouse) -> None:
    for timeout in ("abc", "3601"):
        answer = clickhouse.get(query="SELECT 1", session_id=uuid4().hex, session_timeout=timeout)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "374")


def test_a_session_runs_one_query_at_a_time(clickhouse: ClickHouse) -> None:
    session = uuid4().hex
    with _slow_query(clickhouse, "in_session", session_id=session):
        answer = clickhouse.post("SELECT 1", session_id=session)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "373")
    assert _eventually(lambda: clickhouse.post("SELECT 1", session_id=session).body == b"1\n")


def test_a_query_can_be_killed_by_the_id_that_its_client_chose(clickhouse: ClickHouse) -> None:
    query_id = f"chosen-{uuid4().hex}"
    with _slow_query(clickhouse, "killed_by_id", query_id=query_id) as answers:
        assert clickhouse.post(f"KILL QUERY WHERE query_id = '{query_id}' ASYNC").status == 200
        assert _eventually(lambda: bool(answers))
        assert answers[0].headers["X-ClickHouse-Exception-Code"] == "394"


def test_an_id_cannot_be_used_twice_at_a_time(clickhouse: ClickHouse) -> None:
    with _slow_query(clickhouse, "twice", query_id=(query_id := uuid4().hex)):
        answer = clickhouse.post("SELECT 1", query_id=query_id)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "216")


def test_a_query_ends_when_its_client_leaves(clickhouse: ClickHouse) -> None:
    statement = "SELECT sum(sipHash64(number)) AS left_alone FROM numbers(100000000000)"
    target = f"/?query={statement.replace(' ', '+')}&cancel_http_readonly_queries_on_client_close=1"
    with socket.create_connection(("127.0.0.1", clickhouse.http_port)) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert _eventually(lambda: _running(clickhouse, "left_alone") == 1)
    assert _eventually(lambda: _running(clickhouse, "left_alone") == 0)


def test_a_stream_ends_when_its_client_leaves(clickhouse: ClickHouse) -> None:
    target = "/?query=SELECT+number+AS+half_read+FROM+numbers(100000000000)&cancel_http_readonly_queries_on_client_close=1"
    with socket.create_connection(("127.0.0.1", clickhouse.http_port)) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.recv(100)
        assert _running(clickhouse, "half_read") == 1
    assert _eventually(lambda: _running(clickhouse, "half_read") == 0)


def test_an_insert_that_is_cut_stores_nothing(clickhouse: ClickHouse) -> None:
    table = f"cut_{uuid4().hex}"
    clickhouse.execute(f"CREATE TABLE {table} (x UInt64) ENGINE = MergeTree ORDER BY x")
    with socket.create_connection(("127.0.0.1", clickhouse.http_port)) as client:
        head = f"POST /?query=INSERT+INTO+{table}+FORMAT+TSV HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + b"4\r\n1\n2\n\r\n")
    clickhouse.execute("SELECT 1")
    assert clickhouse.execute(f"SELECT count() FROM {table}") == b"0\n"


def test_queries_run_side_by_side(clickhouse: ClickHouse) -> None:
    with _slow_query(clickhouse, "one_of_two"), _slow_query(clickhouse, "two_of_two"):
        assert clickhouse.execute("SELECT 1") == b"1\n"

"""Who may read the embedded ClickHouse, how they say who they are, and what they are shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import clickhouse_connect
import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.readers import House, house_in


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_in(tmp_path_factory.mktemp("house"), "--allowed-host", "spans.example.com") as house:
        yield house


def _basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def test_each_sees_the_spans_of_its_workspaces(house: House) -> None:
    statement = "SELECT Workspace, count() FROM otel.{} GROUP BY Workspace ORDER BY Workspace"
    for table in ("otel_traces", "otel_traces_trace_id_ts"):
        assert house.ann.execute(statement.format(table)) == b"alpha\t3\n"
        assert house.ben.execute(statement.format(table)) == b"beta\t5\n"
        for everybody in (house.anyone, house.owner):
            assert everybody.execute(statement.format(table)) == b"alpha\t3\nbeta\t5\n"


def test_a_password_may_come_in_three_ways(house: House) -> None:
    query = "SELECT count() FROM otel.otel_traces"
    assert house.anyone.get(_basic("ann", "pw"), query=query).body == b"3\n"
    assert house.anyone.get({"X-ClickHouse-User": "ann", "X-ClickHouse-Key": "pw"}, query=query).body == b"3\n"
    assert house.anyone.get(query=query, user="ann", password="pw").body == b"3\n"


def test_a_client_library_connects_and_reads(house: House) -> None:
    port = house.anyone.http_port
    with clickhouse_connect.get_client(host="127.0.0.1", port=port, username="ann", password="pw", database="otel") as client:
        names = client.query("SELECT SpanName FROM otel_traces WHERE Duration >= {least:UInt64}", parameters={"least": 1001})
        assert names.result_rows == [("common",), ("common",)]
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="READONLY"):
            client.insert("otel_traces", [["x"]], column_names=["SpanName"], column_type_names=["String"])


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        (_basic("bob", "x"), {}),
        (_basic("default", "x"), {}),
        (_basic("default", ""), {"user": "default"}),
        (_basic("default", ""), {"user": "bob", "password": "x"}),
        ({**_basic("default", ""), "X-ClickHouse-User": "default"}, {}),
        ({**_basic("default", ""), "X-ClickHouse-Key": ""}, {}),
        ({"Authorization": "Basic"}, {}),
        ({"Authorization": "Bearer x"}, {}),
        ({"Authorization": "Bearer x"}, {"user": "default"}),
        ({"X-ClickHouse-User": "bob"}, {}),
        ({"X-ClickHouse-User": "bob", "X-ClickHouse-Key": "x"}, {}),
        ({"X-ClickHouse-User": "default", "X-ClickHouse-Key": "x"}, {}),
        ({"X-ClickHouse-User": "default"}, {"user": "default"}),
        ({"X-ClickHouse-User": "default"}, {"password": ""}),
        ({"X-ClickHouse-User": ""}, {}),
        ({}, {"user": ""}),
        ({}, {"user": "bob", "password": "x"}),
        ({}, {"password": "x"}),
        ({}, {"password": ""}),
    ],
)
def test_wrong_and_mixed_credentials_get_what_a_genuine_server_answers(
    genuine_clickhouse: ClickHouse, house: House, headers: dict[str, str], parameters: dict[str, str]
) -> None:
    expected, found = (each.get(headers, query="SELECT 1", **parameters) for each in (genuine_clickhouse, house.anyone))
    assert found.status == expected.status
    for header in ("X-ClickHouse-Exception-Code", "WWW-Authenticate"):
        assert found.headers[header] == expected.headers[header]


def test_limits_that_are_too_high_are_brought_down_and_lower_ones_taken(house: House) -> None:
    statement = "SELECT getSetting('max_execution_time'), getSetting('max_result_rows')"
    assert house.ann.execute(statement) == b"60\t1000000\n"
    assert house.ann.execute(statement, max_execution_time="600", max_result_rows="0") == b"60\t1000000\n"
    assert house.ann.execute(statement, max_execution_time="5", max_result_rows="7") == b"5\t7\n"


def test_sessions_keep_nothing_of_a_request(house: House) -> None:
    assert house.ann.execute("SELECT getSetting('max_block_size')", session_id="s", max_block_size="77") == b"77\n"
    assert house.ann.execute("SELECT getSetting('max_block_size')", session_id="s") != b"77\n"


def test_mistakes_are_told_as_to_anybody(house: House) -> None:
    answer = house.ann.post("SELEC 1")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "62")
    assert answer.body.startswith(b"Code: 62. DB::Exception: Syntax error: failed at position 1 (SELEC): SELEC 1. ")
    assert b"formatQuery" not in answer.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST:8123"}, 200),
        ({"Host": "[::1]:8123"}, 200),
        ({"Host": "spans.example.com:8123"}, 200),
        ({"Host": "Spans.Example.Com."}, 200),
        ({"Host": "localhost:8123", "Origin": "http://localhost:8123"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "rebound.example.com"}, 403),
        ({"Host": "localhost.example.com"}, 403),
        ({"Host": "rebound.example.com", "Origin": "http://rebound.example.com"}, 403),
        ({"Origin": "http://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:8123", "Origin": "http://localhost:3000"}, 403),
        ({"Host": "localhost:8123", "Origin": "https://localhost:8123"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_pages_of_other_sites_are_refused(house: House, headers: dict[str, str], status: int) -> None:
    for path in ("/", "/ping"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = house.anyone.request(method, {"query": "SELECT 1"}, b"" if method == "POST" else None, headers, path)
            assert (answer.status == 403) == (status == 403), (method, path, answer.body)
            assert not [name for name in answer.headers if name.lower().startswith("access-control-")]

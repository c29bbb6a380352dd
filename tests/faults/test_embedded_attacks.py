"""An attacker's walk around the embedded ClickHouse: another workspace's spans, the machine's files, the tables, other users.

The attacker knows the password of Ann, who may read the workspace `alpha`. Every way has to end at a "no".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters.clickhouse.schema import TEMPLATES, workspace_tables
from tests.support.readers import SECRET, SECRET_NUMBER, House, house_in

_FILE = "a secret of this machine"


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("machine") / "secret"
    # Also a template of an output format, which is how a file can be shown.
    path.write_text(f"{_FILE} ${{0:CSV}}\n")
    return path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_in(tmp_path_factory.mktemp("house")) as house:
        for table in ("otel_traces", "otel_traces_trace_id_ts"):
            # Rows of both workspaces are in one granule then, where conditions can meet any of them.
            house.owner.execute(f"OPTIMIZE TABLE otel.{table} FINAL")
        yield house


_LIKE_A_QUERY = r"SpanName != \'SELECT name FROM merge(orders)\'"
_COUNTS = {
    "all rows": ("SELECT count() FROM otel.otel_traces", "3"),
    "the companion": ("SELECT count() FROM otel.otel_traces_trace_id_ts", "3"),
    "workspaces": ("SELECT groupUniqArray(Workspace) FROM otel.otel_traces", "['alpha']"),
    "minimum and maximum": ("SELECT min(Workspace), max(Workspace), max(Duration) FROM otel.otel_traces", "alpha\talpha\t1002"),
    "projection of extremes": (
        "SELECT count(), max(Timestamp) FROM otel.otel_traces SETTINGS optimize_use_implicit_projections = 1",
        "3\t2026-09-01 10:00:02.000000000",
    ),
    "trivial count": ("SELECT count() FROM otel.otel_traces SETTINGS optimize_trivial_count_query = 1", "3"),
    "another workspace": ("SELECT count() FROM otel.otel_traces WHERE Workspace = 'beta'", "0"),
    "any workspace": ("SELECT count() FROM otel.otel_traces WHERE Workspace = 'beta' OR 1", "3"),
    "a filter of one's own": (
        "SELECT count() FROM otel.otel_traces SETTINGS additional_table_filters = {'otel.otel_traces': '1 OR Duration > 0'}",
        "3",
    ),
    "filters for what reads like a query": (
        f"SELECT SpanName FROM otel.otel_traces SETTINGS `order` = '1 DESC', limit = 1, filter = '{_LIKE_A_QUERY}'",
        "common",
    ),
    "a filter of a table for what reads like a query": (
        f"SELECT count() FROM otel.otel_traces SETTINGS additional_table_filters = {{'otel.otel_traces': '{_LIKE_A_QUERY}'}}",
        "3",
    ),
    "before the filter": ("SELECT count() FROM otel.otel_traces PREWHERE throwIf(Workspace = 'beta') = 0", "3"),
    "before the filter, without moving": (
        "SELECT count() FROM otel.otel_traces WHERE throwIf(Workspace = 'beta') = 0 SETTINGS optimize_move_to_prewhere = 0",
        "3",
    ),
    "an error about rows of others": ("SELECT throwIf(count() != 3) FROM otel.otel_traces", "0"),
    "a join": ("SELECT count() FROM otel.otel_traces AS a CROSS JOIN otel.otel_traces AS b", "9"),
    "a subquery": ("SELECT count() FROM otel.otel_traces WHERE TraceId IN (SELECT TraceId FROM otel.otel_traces)", "3"),
    "a scalar subquery": ("SELECT (SELECT uniqExact(Workspace) FROM otel.otel_traces)", "1"),
    "a common table expression": ("WITH t AS (SELECT * FROM otel.otel_traces) SELECT count() FROM t", "3"),
    "a union": ("SELECT sum(c) FROM (SELECT count() AS c FROM otel.otel_traces UNION ALL SELECT 0)", "3"),
    "view()": ("SELECT count() FROM view(SELECT * FROM otel.otel_traces)", "3"),
    "parts by their names": ("SELECT uniqExact(_part), count() FROM otel.otel_traces", "1\t3"),
    "a scope in a subquery": (
        "SELECT count() FROM (SELECT * FROM otel.otel_traces SETTINGS query_cache_tag = 'owner')",
        "3",
    ),
    "a default scope in a subquery": (
        "SELECT count() FROM (SELECT * FROM otel.otel_traces SETTINGS query_cache_tag = DEFAULT)",
        "3",
    ),
    "no roles": ("SELECT currentRoles(), enabledRoles()", "[]\t[]"),
    "number of rows in system.tables": ("SELECT total_rows FROM system.tables WHERE database = 'otel'", ""),
    "number of rows for everybody": ("SELECT count() FROM information_schema.tables WHERE table_schema = 'otel'", "0"),
    "sizes of columns": ("SELECT sum(data_compressed_bytes) FROM system.columns WHERE database = 'otel'", "0"),
    "parts": ("SELECT count() FROM system.parts", "0"),
    "extremes of parts": ("SELECT count() FROM system.parts_columns", "0"),
    "queries of others": ("SELECT count() FROM system.processes", "0"),
    "SHOW PROCESSLIST": ("SHOW PROCESSLIST", ""),
    "server settings": ("SELECT count() FROM system.server_settings", "0"),
    "events": ("SELECT count() FROM system.events", "0"),
    "disks": ("SELECT count() FROM system.disks", "0"),
    "errors of others": ("SELECT count() FROM system.errors", "0"),
}
"""Ways that are allowed and must not lead anywhere: what they answer."""


@pytest.mark.parametrize("way", _COUNTS)
@pytest.mark.parametrize("in_session", [False, True])
def test_whatever_is_asked_the_answer_knows_own_spans_alone(house: House, way: str, in_session: bool) -> None:
    statement, expected = _COUNTS[way]
    parameters = {"session_id": "counts"} if in_session else {}
    assert house.ann.execute(statement, **parameters).decode().rstrip("\n") == expected


_REFUSED = {
    # Writing.
    "INSERT": "INSERT INTO otel.otel_traces (TraceId) VALUES ('x')",
    "INSERT SELECT": "INSERT INTO otel.otel_traces SELECT * FROM otel.otel_traces",
    "INSERT FUNCTION": "INSERT INTO FUNCTION null('x Int8') VALUES (1)",
    "INSERT from a file": "INSERT INTO otel.otel_traces FROM INFILE '{file}' FORMAT LineAsString",
    "ALTER DELETE": "ALTER TABLE otel.otel_traces DELETE WHERE 1",
    "DELETE": "DELETE FROM otel.otel_traces WHERE 1",
    "UPDATE": "ALTER TABLE otel.otel_traces UPDATE SpanName = 'x' WHERE 1",
    "DROP": "DROP TABLE otel.otel_traces",
    "DROP DATABASE": "DROP DATABASE otel",
    "TRUNCATE": "TRUNCATE TABLE otel.otel_traces",
    "DETACH": "DETACH TABLE otel.otel_traces",
    "RENAME": "RENAME TABLE otel.otel_traces TO otel.gone",
    "EXCHANGE": "EXCHANGE TABLES otel.otel_traces AND otel.otel_traces_trace_id_ts",
    "OPTIMIZE": "OPTIMIZE TABLE otel.otel_traces FINAL",
    "CREATE TABLE": "CREATE TABLE otel.own (x Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE": "CREATE TEMPORARY TABLE own (x Int8)",
    "CREATE DATABASE": "CREATE DATABASE own",
    "CREATE VIEW": "CREATE VIEW otel.own AS SELECT * FROM otel.otel_traces",
    "CREATE VIEW as definer": "CREATE VIEW otel.own SQL SECURITY NONE AS SELECT * FROM otel.otel_traces",
    "CREATE FUNCTION": "CREATE FUNCTION own AS (x) -> x",
    "CREATE DICTIONARY": (
        "CREATE DICTIONARY otel.d (k UInt64, v String) PRIMARY KEY k SOURCE(FILE(PATH '{file}' FORMAT TSV)) LAYOUT(FLAT()) "
        "LIFETIME(0)"
    ),
    "CREATE NAMED COLLECTION": "CREATE NAMED COLLECTION own AS x = 1",
    "BACKUP": "BACKUP TABLE otel.otel_traces TO File('{file}.zip')",
    "RESTORE": "RESTORE TABLE otel.otel_traces FROM File('{file}.zip')",
    "BEGIN": "BEGIN TRANSACTION",
    # Rights.
    "SET ROLE": "SET ROLE owner",
    "SET ROLE ALL": "SET ROLE ALL",
    "SET ROLE DEFAULT": "SET ROLE DEFAULT",
    "SET DEFAULT ROLE": "SET DEFAULT ROLE ALL TO default",
    "SET ROLE after a comment": "/* SELECT */ SET /**/ ROLE -- SELECT\n ALL",
    "SET ROLE in a second statement": "SELECT 1; SET ROLE ALL",
    "SET ROLE after a string in typographic quotes": "SELECT \N{LEFT SINGLE QUOTATION MARK}'\N{RIGHT SINGLE QUOTATION MARK}; "
    "SET ROLE ALL; SELECT \N{LEFT SINGLE QUOTATION MARK}'\N{RIGHT SINGLE QUOTATION MARK}",
    "SET ROLE after a heredoc": "SELECT $a$ ' $a$; SET ROLE ALL; SELECT ''",
    "SET ROLE beside": "SELECT 1 PARALLEL WITH SET ROLE ALL",
    "EXECUTE AS": "EXECUTE AS default SELECT 1",
    "GRANT": "GRANT ALL ON *.* TO default",
    "REVOKE": "REVOKE ALL ON *.* FROM default",
    "CREATE USER": "CREATE USER own",
    "ALTER USER": "ALTER USER default IDENTIFIED BY 'x'",
    "CREATE ROW POLICY": "CREATE ROW POLICY own ON otel.otel_traces USING 1 TO ALL",
    "DROP ROW POLICY": "DROP ROW POLICY default ON otel.otel_traces",
    "CREATE SETTINGS PROFILE": "CREATE SETTINGS PROFILE own SETTINGS readonly = 0",
    "SHOW CREATE USER": "SHOW CREATE USER default",
    "SHOW ACCESS": "SHOW ACCESS",
    # Settings.
    "SET readonly": "SET readonly = 0",
    "SETTINGS readonly": "SELECT 1 SETTINGS readonly = 0",
    "SETTINGS readonly = DEFAULT": "SELECT 1 SETTINGS readonly = DEFAULT",
    "SETTINGS of the scope": "SELECT count() FROM otel.otel_traces SETTINGS query_cache_tag = 'owner'",
    "SETTINGS of the scope by default": "SELECT count() FROM otel.otel_traces SETTINGS query_cache_tag = DEFAULT",
    "SETTINGS max_execution_time": "SELECT 1 SETTINGS max_execution_time = 0",
    "SETTINGS max_execution_time, raised": "SELECT 1 SETTINGS max_execution_time = 3600",
    "SETTINGS max_execution_time by default": "SELECT 1 SETTINGS max_execution_time = DEFAULT",
    "SETTINGS max_memory_usage": "SELECT 1 SETTINGS max_memory_usage = 0",
    "SETTINGS max_result_rows": "SELECT 1 SETTINGS max_result_rows = 0",
    "SETTINGS max_parser_depth": "SELECT 1 SETTINGS max_parser_depth = 1000000000",
    "SETTINGS max_threads": "SELECT 1 SETTINGS max_threads = 100000",
    "SETTINGS of temporary files": "SELECT 1 SETTINGS max_bytes_before_external_sort = 1",
    "SETTINGS of a join on disk": "SELECT 1 SETTINGS join_algorithm = 'partial_merge'",
    "SETTINGS dialect": "SELECT 1 SETTINGS dialect = 'kusto'",
    "SETTINGS allow_ddl": "SELECT 1 SETTINGS allow_ddl = 1",
    "SETTINGS allow_introspection_functions": "SELECT 1 SETTINGS allow_introspection_functions = 1",
    "SETTINGS use_query_cache": "SELECT 1 SETTINGS use_query_cache = 1",
    "SETTINGS log_comment": "SELECT 1 SETTINGS log_comment = 'x'",
    "SETTINGS os_threads_nice_value_query": "SELECT 1 SETTINGS os_threads_nice_value_query = 0",
    "SETTINGS profile of nobody": "SELECT 1 SETTINGS profile = 'reader'",
    # Files, commands, other servers.
    "file()": "SELECT file('{file}')",
    "file() as a table": "SELECT * FROM file('{file}', LineAsString)",
    "file() beside numbers": "SELECT * FROM numbers(1) AS n, file('{file}', LineAsString) AS f",
    "file() in a subquery": "SELECT (SELECT any(line) FROM file('{file}', LineAsString))",
    "a file's name as a table": "SELECT * FROM `{file}`",
    "a file's name as a string": "SELECT * FROM '{file}'",
    "INTO OUTFILE": "SELECT 1 INTO OUTFILE '{file}.out'",
    "INTO OUTFILE in typographic quotes": "SELECT 1 INTO OUTFILE \N{LEFT SINGLE QUOTATION MARK}{file}.out"
    "\N{RIGHT SINGLE QUOTATION MARK}",
    "INTO OUTFILE with comments": "SELECT 1 INTO/**/OUTFILE -- x\n '{file}.out'",
    "INTO OUTFILE of EXPLAIN": "EXPLAIN SELECT 1 INTO OUTFILE '{file}.out'",
    "a template": "SELECT 1 FORMAT Template SETTINGS format_template_row = '{file}'",
    "a template of the result": "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '{file}'",
    "a schema": "SELECT 1 FORMAT Protobuf SETTINGS format_schema = '{file}:m'",
    "url()": "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "DESCRIBE of a file": "DESCRIBE file('{file}')",
    "DESCRIBE of a URL": "DESC url('http://127.0.0.1:1/', CSV)",
    "DESCRIBE of a bucket": "DESC s3('http://127.0.0.1:1/bucket/key')",
    "DESCRIBE of a directory": "DESC icebergLocal('{file}')",
    "EXPLAIN TABLE OVERRIDE": "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'd', 't', 'u', 'p') COLUMNS (x Int8)",
    "EXPLAIN of a URL": "EXPLAIN QUERY TREE SELECT * FROM url('http://127.0.0.1:1/', CSV)",
    "a schema registry": "SELECT * FROM format(AvroConfluent, 'x') SETTINGS format_avro_schema_registry_url = 'http://127.0.0.1:1'",
    "remote()": "SELECT * FROM remote('127.0.0.1:1', otel.otel_traces)",
    "remote() to itself": "SELECT * FROM remote('127.0.0.1', otel.otel_traces)",
    "cluster()": "SELECT * FROM cluster('default', otel.otel_traces)",
    "s3()": "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', LineAsString)",
    "mysql()": "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "sqlite()": "SELECT * FROM sqlite('{file}', 't')",
    "executable()": "SELECT * FROM executable('id', TSV, 'x String')",
    "dictionary()": "SELECT * FROM dictionary('d')",
    "dictGet()": "SELECT dictGet('d', 'v', 1)",
    "objects of Python": "SELECT * FROM Python(parameters)",
    "catboostEvaluate()": "SELECT catboostEvaluate('{file}', 1)",
    "addressToLine()": "SELECT addressToLine(1)",
    # Around the row policy.
    "mergeTreeIndex()": "SELECT * FROM mergeTreeIndex('otel', 'otel_traces')",
    "loop()": "SELECT * FROM loop('otel', 'otel_traces') LIMIT 100",
    "the view": "SELECT * FROM otel.otel_traces_trace_id_ts_mv",
    "viewExplain()": "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))",
    "EXPLAIN in a subquery": "SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM otel.otel_traces)",
    "EXPLAIN in brackets": "(EXPLAIN ESTIMATE SELECT * FROM otel.otel_traces)",
    "DESCRIBE of EXPLAIN": "DESCRIBE (EXPLAIN ESTIMATE SELECT * FROM otel.otel_traces)",
    "a value in an error": "SELECT toUInt8(SpanName) FROM otel.otel_traces ORDER BY Duration DESC",
    "a value in an error of a filter": "SELECT 1 FROM otel.otel_traces PREWHERE toUInt8(SpanName) = 1",
    "CHECK TABLE": "CHECK TABLE otel.otel_traces",
    "replicas": "SELECT * FROM otel.otel_traces SETTINGS enable_parallel_replicas = 1, max_parallel_replicas = 3, "
    "cluster_for_parallel_replicas = 'default', parallel_replicas_for_non_replicated_merge_tree = 1",
    # Others.
    "KILL QUERY": "KILL QUERY WHERE 1",
    "KILL MUTATION": "KILL MUTATION WHERE 1",
    "SYSTEM SHUTDOWN": "SYSTEM SHUTDOWN",
    "SYSTEM STOP MERGES": "SYSTEM STOP MERGES",
    "SYSTEM FLUSH LOGS": "SYSTEM FLUSH LOGS",
    "SYSTEM RELOAD CONFIG": "SYSTEM RELOAD CONFIG",
    "system.query_log": "SELECT * FROM system.query_log",
    "system.user_processes": "SELECT * FROM system.user_processes",
    "system.session_query_ids": "SELECT * FROM system.session_query_ids",
    "system.users": "SELECT * FROM system.users",
    "system.grants": "SELECT * FROM system.grants",
    "system.row_policies": "SELECT * FROM system.row_policies",
    "system.settings_profiles": "SELECT * FROM system.settings_profiles",
    "system.settings_profile_elements": "SELECT * FROM system.settings_profile_elements",
    "system.query_condition_cache": "SELECT * FROM system.query_condition_cache",
    "system.completions": "SELECT * FROM system.completions",
    "nothing": "",
    "a statement that is no text": "SELECT '\udcff'; SET ROLE ALL",
}
"""Ways that are closed. Where `{file}` stands, the attacker names a file of the machine."""

_LEAK = f"(SELECT count() FROM merge('otel', '^otel_traces$') PREWHERE throwIf(SpanName = '{SECRET}') = 0)"
_QUOTED_LEAK = _LEAK.replace("'", "\\'")
_OF_OTHERS = {
    "EXPLAIN ESTIMATE": "EXPLAIN ESTIMATE SELECT * FROM otel.otel_traces",
    "EXPLAIN indexes": "EXPLAIN indexes = 1 SELECT * FROM otel.otel_traces WHERE TraceId = 'zanzibar0'",
    "granules": "SELECT * FROM mergeTreeAnalyzeIndexes('otel', 'otel_traces', Workspace = 'beta')",
    "merge()": "SELECT count() FROM merge('otel', '^otel_traces$')",
    "a condition of merge()": f"SELECT {_LEAK}",
    "a condition of merge(), quoted": f"SELECT {_LEAK}".replace("merge(", "`merge` /**/ ("),
    "DESCRIBE of merge()": "DESCRIBE TABLE merge('otel', '^otel_traces$')",
    "a text as a query": f"SELECT * FROM eval($${_LEAK}$$) SETTINGS allow_experimental_eval_table_function = 1",
    "a query in a filter of tables": (
        f"SELECT 1 FROM otel.otel_traces SETTINGS additional_table_filters = {{'otel.otel_traces': '1 = {_QUOTED_LEAK}'}}"
    ),
    "a query in a filter of rows": f"SELECT 1 SETTINGS additional_result_filter = '1 = {_QUOTED_LEAK}'",
    "a query in a filter": f"SELECT 1 SETTINGS filter = $$1 = {_LEAK}$$",
    "a query in an order, behind an open quote": f"SELECT 'filter = \\'', 1 AS x SETTINGS `order` = '{_QUOTED_LEAK}'",
    "a hidden query in a filter": (
        "SELECT 1 FROM otel.otel_traces SETTINGS additional_table_filters = '{\\'otel.otel_traces\\': \\'1 = "
        + _LEAK.replace("'", "\\\\\\'").replace("SELECT", "S\\\\x45LECT").replace("FROM", "FRO\\\\NM")
        + "\\'}'"
    ),
}
"""Further ways to rows of others, which are open to those who see every workspace."""


def _said(house: House, file: Path, statement: str, **parameters: str) -> tuple[int, str]:
    body = statement.replace("{file}", str(file)).encode(errors="surrogateescape")
    answer = house.ann.request("POST", {"wait_end_of_query": "1", **parameters}, body)
    return answer.status, answer.body.decode(errors="replace")


@pytest.mark.parametrize("way", _REFUSED | _OF_OTHERS)
def test_a_closed_way_is_refused_and_tells_nothing(house: House, secret_file: Path, way: str) -> None:
    for parameters in ({}, {"session_id": "attack"}, {"database": "otel"}):
        status, text = _said(house, secret_file, (_REFUSED | _OF_OTHERS)[way], **parameters)
        assert status != 200, text
        for mark in (_FILE, SECRET_NUMBER, f"{SECRET}1", f"'{SECRET}'"):
            assert mark not in text
    assert house.ann.execute("SELECT currentRoles(), getSetting('readonly')", session_id="attack") == b"[]\t2\n"
    assert sorted(each.name for each in secret_file.parent.iterdir()) == ["secret"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"readonly": "0"},
        {"readonly": "1", "allow_ddl": "1"},
        {"query_cache_tag": "owner"},
        {"query_cache_tag": "any"},
        {"query_cache_tag": "some\nbeta"},
        {"profile": "reader"},
        {"dialect": "kusto"},
        {"implicit_select": "1"},
        {"format_template_row": "{file}"},
        {"format_schema": "{file}:m"},
        {"max_parser_depth": "1000000000"},
        {"allow_introspection_functions": "1"},
        {"use_query_cache": "1"},
        {"role": "owner"},
        {"quota_key": "x"},
        {"database": "system"},
        {"profile": "default"},
        {"log_comment": "x"},
        {"max_memory_usage": "0"},
        {"limit": "0", "offset": "1"},
        {"additional_table_filters": f"{{'otel.otel_traces': '{_LIKE_A_QUERY}'}}", "filter": ""},
        {"filter": f"1 = {_LEAK}"},
        {"order": f"1, {_LEAK}"},
        {"additional_table_filters": f"{{'otel.otel_traces': '1 = {_QUOTED_LEAK}'}}"},
        {"additional_table_filters": f"{{'otel.otel_traces': '1 = {_QUOTED_LEAK}'}}".replace("SELECT", "S\\x45LECT")},
    ],
    ids=str,
)
def test_no_parameter_opens_a_way(house: House, secret_file: Path, parameters: dict[str, str]) -> None:
    given = {name: value.replace("{file}", str(secret_file)) for name, value in parameters.items()}
    for further in ({}, {"session_id": "parameters"}):
        answer = house.ann.post("SELECT DISTINCT Workspace FROM otel.otel_traces", None, **given, **further)
        assert answer.status != 200 or answer.body in (b"alpha\n", b"")
        assert SECRET.encode() not in answer.body
        status, _ = _said(house, secret_file, "INSERT INTO otel.otel_traces (TraceId) VALUES ('x')", **given, **further)
        assert status != 200
        status, _ = _said(house, secret_file, "SET ROLE ALL", **given, **further)
        assert status != 200
    assert house.ann.execute("SELECT count() FROM otel.otel_traces", session_id="parameters") == b"3\n"


def test_profiles_of_others_have_names_that_nobody_knows(house: House) -> None:
    own = house.ann.execute("SELECT currentProfiles()[1]").decode().strip()
    of_ben = house.ben.execute("SELECT currentProfiles()[1]").decode().strip()
    assert own != of_ben
    # Even with the name, which is out of reach, only limits could be exchanged.
    assert house.ann.execute(f"SELECT count() FROM otel.otel_traces SETTINGS profile = '{of_ben}'") == b"3\n"


def test_external_tables_are_refused(house: House) -> None:
    structures = ["x String", "x String) ENGINE = Memory AS SELECT SpanName FROM otel.otel_traces --"]
    for structure in structures:
        body = '--b\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n--b--\r\n'
        answer = house.ann.post(
            body, {"Content-Type": "multipart/form-data; boundary=b"}, query="SELECT * FROM t", t_structure=structure
        )
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164"


def test_credentials_in_a_form_change_nothing(house: House) -> None:
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("query", "SELECT count() FROM otel.otel_traces"), ("user", "owner"), ("password", "owner"))
    )
    answer = house.ann.post(f"{parts}--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.body == b"3\n"


def test_a_session_belongs_to_who_made_it(house: House) -> None:
    assert house.ben.post("SELECT 1", session_id="of-ben").status == 200
    assert house.owner.post("CREATE TEMPORARY TABLE kept (x Int8)", session_id="of-owner").status == 200
    for session in ("of-ben", "of-owner"):
        answer = house.ann.post("SELECT 1", session_id=session, session_check="1")
        assert answer.headers["X-ClickHouse-Exception-Code"] == "372"
    assert house.ann.post("SELECT * FROM kept", session_id="of-owner").headers["X-ClickHouse-Exception-Code"] == "60"


def test_get_writes_no_more_than_post(house: House) -> None:
    answer = house.ann.get(query="INSERT INTO otel.otel_traces (TraceId) VALUES ('x')")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "164")
    answer = house.ann.request("PUT", {"query": "SELECT 1"}, b"")
    assert answer.status == 501


def test_who_names_nobody_may_read_and_no_more(house: House, secret_file: Path) -> None:
    assert house.anyone.execute("SELECT count() FROM otel.otel_traces") == b"8\n"
    assert b"ReadFromMergeTree" in house.anyone.execute("EXPLAIN SELECT * FROM otel.otel_traces")
    assert house.anyone.execute("SELECT count() FROM merge('otel', '^otel_traces$')") == b"8\n"
    for way, statement in _REFUSED.items():
        body = statement.replace("{file}", str(secret_file)).encode(errors="surrogateescape")
        answer = house.anyone.request("POST", {"wait_end_of_query": "1"}, body)
        assert answer.status != 200, way
        assert _FILE.encode() not in answer.body


_FRAGMENTS = [
    *("SELECT 1", "SELECT ", "1", "'", "''", "\\'", '"', "`", ";", "; SET ROLE ALL", "SET ROLE ALL;", "SET ROLE owner", " "),
    *("\n", "--", "/*", "*/", "# ", "#!", "$$", "$a$", "$", "\N{LEFT SINGLE QUOTATION MARK}", "\N{RIGHT SINGLE QUOTATION MARK}"),
    *("\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}", "\N{MINUS SIGN}", "\0", "\\", "(", ")", "FORMAT TSV "),
    *(
        "FORMAT Values ",
        "SETTINGS ",
        "profile='default'",
        "readonly=0",
        "PARALLEL WITH ",
        "EXPLAIN ",
        "INTO OUTFILE 'x' ",
        "x'00'",
    ),
    *("INSERT INTO t VALUES ", "UNION ALL ", "WITH 1 AS x ", "EXECUTE AS default ", "b'0'", "{x:String}", ",", "\\G", "\ufeff"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(_FRAGMENTS), min_size=1, max_size=12), st.booleans())
def test_no_spelling_takes_the_role_back(house: House, fragments: list[str], with_role: bool) -> None:
    statement = "".join(fragments) + ("; SET ROLE ALL" if with_role else "")
    house.ann.request("POST", {"session_id": "spelling", "param_x": "1"}, statement.encode())
    state = house.ann.execute("SELECT currentRoles(), getSetting('readonly') FORMAT JSONCompactEachRow", session_id="spelling")
    assert json.loads(state) == [[], 2 if isinstance(json.loads(state)[1], int) else "2"]


@pytest.mark.parametrize("table", [name for name in TEMPLATES if name in workspace_tables("otel_traces")])
def test_every_table_shows_the_rows_of_her_workspace_alone(house: House, table: str) -> None:
    if not table.startswith("otel_traces"):
        # Rows of 1970 would have had their time.
        times = f"SELECT name FROM system.columns WHERE database = 'otel' AND table = '{table}' AND type LIKE 'DateTime%'"
        columns = house.owner.execute(times).decode().split()
        row = ", ".join(["Workspace", *columns]), ", now() + INTERVAL 1 HOUR" * len(columns)
        house.owner.execute(f"INSERT INTO otel.{table} ({row[0]}) VALUES ('alpha'{row[1]}), ('beta'{row[1]})")
    assert house.owner.execute(f"SELECT uniqExact(Workspace) FROM otel.{table}") == b"2\n"
    assert house.ann.execute(f"SELECT groupUniqArray(Workspace) FROM otel.{table}") == b"['alpha']\n"


def test_nothing_has_changed(house: House) -> None:
    # The last of this file, after all attacks of this process.
    statement = "SELECT Workspace, count(), sum(Duration) > 0 FROM otel.otel_traces GROUP BY Workspace ORDER BY Workspace"
    assert house.owner.execute(statement) == b"alpha\t3\t1\nbeta\t5\t1\n"
    tables = house.owner.execute("SHOW TABLES FROM otel").decode().split()
    assert tables == sorted(TEMPLATES)
    house.owner.execute("INSERT INTO otel.otel_traces (TraceId, Workspace) VALUES ('x', 'alpha')")
    assert house.ann.execute("SELECT count() FROM otel.otel_traces") == b"4\n"

"""Runs of load tests in ClickHouse: that they began and ended, and what became of their requests, second by second.

Nothing but those seconds is stored of results. A run whose collector was killed therefore has a result as well, up to its last
second; that it is no longer running, readers see by the time of its last row.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

from collector.monitor.load.interval import MOST_FAILED, SLOWEST, Named, Summary
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import instant, quoted

SILENT_S: Final = 15
"""A running test writes every second; one that has not for so many seconds was interrupted."""

State = Literal["running", "completed", "stopped", "cancelled", "interrupted", "failed"]

_RUNS: Final = "otel_load_test_runs"
_PROGRESS: Final = "otel_load_test_progress"
_SUMS: Final = f"""
    max(At) AS at, sum(Seconds) AS seconds, sum(Sent) AS sent, sum(Succeeded) AS succeeded, sumMap(Failures) AS failures,
    sumMap(Injected) AS injected,
    groupUniqArrayArray({MOST_FAILED})(Examples) AS examples, sumMap(Statuses) AS statuses, sum(ReceivedBytes) AS received_bytes,
    argMax(InFlight, Number) AS in_flight, sum(Measured) AS measured,
    sumMap(Response) AS response, sum(ResponseSum) AS response_sum, max(ResponseMax) AS response_max,
    sumMap(Service) AS service, sum(ServiceSum) AS service_sum, max(ServiceMax) AS service_max,
    arraySlice(arrayReverseSort(each -> each.2, groupArrayArray(Slowest)), 1, {SLOWEST}) AS slowest,
    groupArrayArray({MOST_FAILED})(Failed) AS failed
"""
_RUN_COLUMNS: Final = """
    Id, LoadTestId, LoadTestVersion, Workspace, Name, Body, StartedBy, State, Reason, Unanswered, EndedBy,
    toUnixTimestamp64Nano(StartedAt) AS Started, toUnixTimestamp64Nano(EndedAt) AS Ended
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a load test.

    Attributes:
        load_test, load_test_version: which it is of; `name` and `test` are what that was then, the latter as JSON.
        started_at, ended_at: nanoseconds since 1970; None while it runs, and where nobody saw the end.
        started_by, ended_by: names of callers, the latter of who cancelled it.
        state: how it stands.
        reason: in a sentence, where it did not end as planned.
        unanswered: requests that were in flight at its end.
    """

    id: uuid.UUID
    workspace: str
    load_test: uuid.UUID
    load_test_version: int
    name: str
    test: Mapping[str, Any]
    started_at: int
    started_by: str
    state: State = "running"
    reason: str = ""
    unanswered: int = 0
    ended_at: int | None = None
    ended_by: str = ""


class RunStore:
    """The tables of runs.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        database: in which the tables are.
        timeout_s: of one statement.

    All methods raise ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable as the client.
    """

    def __init__(self, client: ClickHouseClient, database: str, timeout_s: float = 30.0) -> None:
        self._client = client
        self._runs = f"{quoted(database)}.{quoted(_RUNS)}"
        self._progress = f"{quoted(database)}.{quoted(_PROGRESS)}"
        self._timeout_s = timeout_s

    async def write_run(self, run: Run) -> None:
        """Store how a run stands now; of its rows the one with the latest end counts."""
        await self._insert(
            self._runs,
            {
                "Workspace": run.workspace,
                "Id": str(run.id),
                "LoadTestId": str(run.load_test),
                "LoadTestVersion": run.load_test_version,
                "Name": run.name,
                "Body": orjson.dumps(run.test).decode(),
                "StartedAt": instant(run.started_at),
                "StartedBy": run.started_by,
                "State": run.state,
                "Reason": run.reason,
                "Unanswered": run.unanswered,
                "EndedBy": run.ended_by,
                **({"EndedAt": instant(run.ended_at)} if run.ended_at is not None else {}),
            },
        )

    async def write_progress(self, run: Run, number: int, summary: Summary) -> None:
        """Store the sums of an interval; the same number again counts once."""
        await self._insert(
            self._progress,
            {
                "Workspace": run.workspace,
                "RunId": str(run.id),
                "Number": number,
                "At": summary.at,
                "Seconds": summary.seconds,
                "Sent": summary.sent,
                "Succeeded": summary.succeeded,
                "Failures": summary.failures,
                "Injected": summary.injected,
                "Examples": list(summary.examples.items()),
                "Statuses": summary.statuses,
                "ReceivedBytes": summary.received_bytes,
                "InFlight": summary.in_flight,
                "Measured": summary.measured,
                "Response": summary.response,
                "ResponseSum": summary.response_sum,
                "ResponseMax": summary.response_max,
                "Service": summary.service,
                "ServiceSum": summary.service_sum,
                "ServiceMax": summary.service_max,
                "Slowest": [(each.trace_id, each.duration, each.cause) for each in summary.slowest],
                "Failed": [(each.trace_id, each.duration, each.cause) for each in summary.failed],
            },
        )

    async def get(self, workspace: str, run_id: uuid.UUID) -> Run | None:
        """The run of an id, or None where the workspace has none."""
        found = await self._read(
            "WHERE Workspace = {workspace:String} AND Id = {id:UUID}", {"workspace": workspace, "id": str(run_id)}
        )
        return found[0] if found else None

    async def page(
        self,
        workspace: str,
        limit: int,
        *,
        before: tuple[int, uuid.UUID] | None = None,
        load_test: uuid.UUID | None = None,
    ) -> list[Run]:
        """Runs of a workspace, the latest first.

        Args:
            before: start and id of the run behind which the page begins.
            load_test: only runs of this test.
        """
        conditions = ["Workspace = {workspace:String}"]
        parameters: dict[str, object] = {"workspace": workspace, "limit": limit}
        if load_test is not None:
            conditions.append("LoadTestId = {test:UUID}")
            parameters["test"] = str(load_test)
        if before is not None:
            conditions.append("(StartedAt, toString(Id)) < (fromUnixTimestamp64Nano({at:Int64}), {id:String})")
            parameters |= {"at": before[0], "id": str(before[1])}
        return await self._read(f"WHERE {' AND '.join(conditions)}", parameters, "LIMIT {limit:UInt32}")

    async def total(self, run: Run) -> Summary:
        """The sums of all that became of a run's requests; zeros where nothing is known."""
        found = await self.series(run, 0)
        return found[0] if found else Summary(at=0, seconds=0)

    async def latest(self, run: Run) -> tuple[int, Summary] | None:
        """Number and sums of a run's last interval that is known."""
        rows = await self._sums(run, "Number", "ORDER BY Part DESC LIMIT 1")
        return next(((row["Part"], _summary(row)) for row in rows), None)

    async def series(self, run: Run, step_s: int) -> list[Summary]:
        """The sums of steps of so many seconds, in order; a step of 0 takes in everything. Intervals belong to the step in which
        they end."""
        # An interval that ends a little late is still that of its second.
        part = f"intDiv(toUInt64(greatest(At - 0.5, 0)), {step_s:d})" if step_s else "0"
        return [_summary(row) for row in await self._sums(run, part, "ORDER BY Part")]

    async def _sums(self, run: Run, part: str, then: str) -> list[dict[str, Any]]:
        rows = (
            f"SELECT * FROM {self._progress}"  # noqa: S608 - values are bound
            " WHERE Workspace = {workspace:String} AND RunId = {id:UUID} ORDER BY Number LIMIT 1 BY Number"
        )
        sql = f"SELECT {part} AS Part, {_SUMS} FROM ({rows}) GROUP BY Part {then}"  # noqa: S608 - as above
        return await self._query(sql, {"workspace": run.workspace, "id": str(run.id)})

    async def _read(self, where: str, parameters: Mapping[str, object], limit: str = "") -> list[Run]:
        runs = f"SELECT {_RUN_COLUMNS} FROM {self._runs} {where} ORDER BY EndedAt DESC LIMIT 1 BY Id"  # noqa: S608 - values are bound
        sql = f"SELECT * FROM ({runs}) ORDER BY Started DESC, toString(Id) DESC {limit}"  # noqa: S608 - as above
        found = [_run(row) for row in await self._query(sql, parameters)]
        running = [run for run in found if run.state == "running"]
        silent = await self._silent(running) if running else set()
        return [_interrupted(run) if run.id in silent else run for run in found]

    async def _silent(self, runs: Sequence[Run]) -> set[uuid.UUID]:
        """Those of the runs of one workspace that nobody looks after any more."""
        rows = await self._query(
            "SELECT Id FROM (SELECT arrayJoin({ids:Array(UUID)}) AS Id) AS runs"  # noqa: S608 - values are bound
            " LEFT JOIN (SELECT RunId, max(WrittenAt) AS Last"
            f" FROM {self._progress} WHERE Workspace = {{workspace:String}} AND RunId IN {{ids:Array(UUID)}} GROUP BY RunId)"
            " AS written ON runs.Id = written.RunId"
            " LEFT JOIN (SELECT Id AS RunId, max(StartedAt) AS Begun"
            f" FROM {self._runs} WHERE Workspace = {{workspace:String}} AND Id IN {{ids:Array(UUID)}} GROUP BY RunId)"
            " AS begun ON runs.Id = begun.RunId"
            " WHERE greatest(Last, toDateTime(Begun, 'UTC')) < now('UTC') - {silent:UInt32}",
            {"workspace": runs[0].workspace, "ids": [str(run.id) for run in runs], "silent": SILENT_S},
        )
        return {uuid.UUID(row["Id"]) for row in rows}

    async def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        body = orjson.dumps(row, option=orjson.OPT_NON_STR_KEYS)
        await self._client.insert(
            f"INSERT INTO {table} FORMAT JSONEachRow", body, settings={"async_insert": 0}, timeout_s=self._timeout_s
        )

    async def _query(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        return list((await self._client.query(sql, parameters, timeout_s=self._timeout_s)).rows())


def _run(row: Mapping[str, Any]) -> Run:
    return Run(
        id=uuid.UUID(row["Id"]),
        workspace=row["Workspace"],
        load_test=uuid.UUID(row["LoadTestId"]),
        load_test_version=row["LoadTestVersion"],
        name=row["Name"],
        test=orjson.loads(row["Body"]),
        started_at=row["Started"],
        started_by=row["StartedBy"],
        state=row["State"],
        reason=row["Reason"],
        unanswered=row["Unanswered"],
        ended_at=row["Ended"] or None,
        ended_by=row["EndedBy"],
    )


def _interrupted(run: Run) -> Run:
    return replace(run, state="interrupted", reason="The collector that ran it has ended; this is what it had until then.")


def _summary(row: Mapping[str, Any]) -> Summary:
    named = {
        name: [Named(trace_id=trace_id, duration=duration, cause=cause) for trace_id, duration, cause in row[name]]
        for name in ("slowest", "failed")
    }
    return Summary.model_validate({**row, **named, "examples": dict(row["examples"])})

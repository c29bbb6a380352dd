"""A ClickHouse that stores nothing: what all contenders write to, so that only they themselves are measured.

It speaks as much of ClickHouse's HTTP interface as their clients need, reads each insert to its end and discards it, or writes
it to a directory while told to. Run as `python -m bench.sink --port N`.

    GET /bench/state                     {"inserts": n, "bytes": n}: what has arrived in full
    POST /bench/capture?directory=PATH   write inserts there from now on; an empty PATH ends it
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from urllib.parse import parse_qs

from aiohttp import web

VERSION = "26.3.1.1"
HEADERS = {
    "X-ClickHouse-Timezone": "UTC",
    "X-ClickHouse-Server-Display-Name": "sink",
    "X-ClickHouse-Summary": '{"read_rows":"0","written_rows":"0","result_rows":"0"}',
}
INSERT = re.compile(r"\s*INSERT\s+INTO\s", re.IGNORECASE)


class Sink:
    """Counts inserts and their bytes as they arrive on the wire, compressed or not."""

    def __init__(self) -> None:
        self.inserts = 0
        self.bytes = 0
        self.capture: Path | None = None

    def application(self) -> web.Application:
        """The server, all paths of it."""
        application = web.Application(client_max_size=1 << 30)
        application.router.add_get("/bench/state", self._state)
        application.router.add_post("/bench/capture", self._set_capture)
        application.router.add_get("/ping", _ping)
        application.router.add_route("*", "/{path:.*}", self._statement)
        return application

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response({"inserts": self.inserts, "bytes": self.bytes})

    async def _set_capture(self, request: web.Request) -> web.Response:
        directory = request.query["directory"]
        self.capture = Path(directory) if directory else None
        return web.Response()

    async def _statement(self, request: web.Request) -> web.Response:
        # The query string is parsed by hand: yarl's own parsing would cost more than the rest of the answer.
        arguments = parse_qs(request.rel_url.raw_query_string)
        sql = arguments.get("query", [""])[0]
        # clickhouse-connect compresses the statement together with its data.
        if INSERT.match(sql) or "Content-Encoding" in request.headers:
            return await self._insert(request, arguments)
        return _answer(sql or await request.text(), arguments)

    async def _insert(self, request: web.Request, arguments: dict[str, list[str]]) -> web.Response:
        if self.capture:
            body = await request.read()
            told = {name: values[0] for name, values in arguments.items()}
            told["content_encoding"] = request.headers.get("Content-Encoding", "")
            (self.capture / f"{self.inserts:06d}.body").write_bytes(body)
            (self.capture / f"{self.inserts:06d}.json").write_text(json.dumps(told))
            self.bytes += len(body)
        else:
            async for part in request.content.iter_any():
                self.bytes += len(part)
        self.inserts += 1
        return web.Response(headers=HEADERS)


async def _ping(request: web.Request) -> web.Response:
    return web.Response(text="Ok.\n", headers=HEADERS)


def _answer(sql: str, arguments: dict[str, list[str]]) -> web.Response:
    """What a server with no tables and no settings would say, in the format asked for."""
    asked = sql.lower()
    form = arguments.get("default_format", [""])[0]
    if asked.startswith("describe"):
        # As to a user who may insert but not look: then a writer sends every column that it knows.
        return web.Response(
            status=403, text="Code: 497. DB::Exception: Not enough privileges. (ACCESS_DENIED)\n", headers=HEADERS
        )
    if form == "JSONColumns":
        return web.json_response({"version": [VERSION]} if "version()" in asked else {}, headers=HEADERS)
    if "version()" in asked:
        return web.Response(text=f"{VERSION}\tUTC\n" if "timezone()" in asked else f"{VERSION}\n", headers=HEADERS)
    return web.Response(headers=HEADERS)


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    web.run_app(Sink().application(), host="127.0.0.1", port=parser.parse_args().port, access_log=None, print=None)


if __name__ == "__main__":
    main()

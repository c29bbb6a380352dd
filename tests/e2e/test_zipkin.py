"""Spans that come in from Zipkin's reporters, go out over Zipkin's query API, and are spoken of."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tests.support.daemon import daemon_in, eventually, free_ports
from tests.support.zipkin import EVERY_FIELD, to_protobuf

TOKEN = "zipkin-zipkin-zipkin"
TRACE = EVERY_FIELD["traceId"]
NOW = 1_700_000_000_000_000
TTL_H = 30 * 365 * 24
KEPT = {"http.path": "/api", "error": "boom", "otel.status_code": "ERROR", "host.name": "front-1"}


def span(number: int, **members: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "id": f"{number:016x}",
        "name": "call",
        "timestamp": NOW + number,
        "duration": 10,
        "annotations": [],
        "tags": {},
        **members,
    }


def asked(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_spans_of_reporters_come_back_as_they_were_sent(tmp_path: Path) -> None:
    (port,) = free_ports(1)

    def send(body: bytes, media_type: str, token: str) -> int:
        headers = {"Content-Type": media_type, "Authorization": f"Bearer {token}"}
        return asked(port, "POST", "/api/v2/spans", body, headers)[0]

    with daemon_in(tmp_path) as daemon:
        daemon.environment = {"TOKEN": TOKEN}
        daemon.configure(clickhouse={"ttl": f"{TTL_H}h"}, batch={"timeout": "100ms"})
        document = yaml.safe_load(daemon.file.read_text())
        document["receivers"]["zipkin"] = {"endpoint": f"127.0.0.1:{port}", "auth": {"authenticator": "tokens"}}
        tokens = [{"name": "reporter", "token": "${env:TOKEN}", "role": "ingest", "workspaces": ["old"]}]
        document["extensions"]["tokens"] = {"tokens": tokens}
        document["service"]["extensions"].append("tokens")
        document["service"]["pipelines"]["traces"]["receivers"].append("zipkin")
        daemon.file.write_text(yaml.safe_dump(document))
        daemon.start()

        # The client's and the server's half of one call share an id; the server's parent is not told.
        front, back = {"serviceName": "front"}, {"serviceName": "back", "ipv4": "10.0.0.2", "port": 80}
        client = span(1, kind="CLIENT", localEndpoint=front, remoteEndpoint=back, tags={"peer.service": "back"})
        server = span(1, kind="SERVER", localEndpoint=back, shared=True, timestamp=NOW + 3, duration=4)
        child = span(2, parentId=f"{1:016x}", localEndpoint={"serviceName": "back"})
        assert send(json.dumps([EVERY_FIELD, client, child]).encode(), "application/json", TOKEN) == 202
        assert send(to_protobuf([server, server | {"id": "0"}]), "application/x-protobuf", TOKEN) == 202
        assert send(b"[]", "application/json", "another-another-another") == 401
        eventually(lambda: daemon.stored("Workspace = 'old'") == 4, "four stored spans")
        refused = daemon.metric(
            "spanhouse_receiver_refused_spans_total", receiver="zipkin", transport="http", reason="span_id_zero"
        )
        assert refused == 1
        assert daemon.metric("otelcol_receiver_accepted_spans_total", receiver="zipkin") == 4

        def answered() -> list[dict[str, Any]]:
            path, headers = f"/zipkin/api/v2/trace/{TRACE}", {"X-Workspace-Id": "old"}
            status, body = asked(daemon.ports.query, "GET", path, b"", headers)
            return json.loads(body) if status == 200 else []

        found = {(each["id"], each.get("kind")): each for each in eventually(answered, "a trace")}
        addresses = {"network.peer.address": "10.0.0.2", "network.peer.port": "80"}
        assert found[client["id"], "CLIENT"] == client | {"tags": client["tags"] | addresses}
        own = {"network.local.address": "10.0.0.2", "network.local.port": "80"}
        assert found[server["id"], "SERVER"] == server | {"tags": own}
        assert found[child["id"], None] == child
        whole = found[EVERY_FIELD["id"], "CLIENT"]
        assert whole["tags"].items() >= KEPT.items()
        for member in ("traceId", "parentId", "name", "timestamp", "duration", "localEndpoint", "remoteEndpoint", "annotations"):
            assert whole[member] == EVERY_FIELD[member]

        path, body = "/api/v1/workspaces/old/annotations", json.dumps({"traceId": TRACE, "spanId": child["id"], "text": "Slow."})
        status, answer = asked(daemon.ports.query, "POST", path, body.encode(), {"Content-Type": "application/json"})
        made = json.loads(answer)
        assert (status, made["targetFound"], made["createdBy"]) == (201, True, "anybody")
        kept = datetime.fromisoformat(made["keptUntil"]) - datetime.fromtimestamp(int(made["createdAtUnixNano"]) // 10**9, UTC)
        assert round(kept.total_seconds() / 3600) == TTL_H
        status, answer = asked(daemon.ports.query, "GET", f"/api/v1/traces/{TRACE}", b"", {"X-Workspace-Id": "old"})
        assert json.loads(answer)["annotations"] == [made]
        assert daemon.stop() == 0

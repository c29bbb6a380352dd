"""What `spanhouse doctor` says about the collectors that spans are sent to."""

from __future__ import annotations

import pytest

from collector.access import Gate
from collector.doctor.peers import peers
from collector.tokens import Tokens
from config.access import TokensExtension
from config.load import parse
from tests.support.receivers import Receivers, receivers

TOKEN = "token-0123456789-0123456789"


async def findings(exporter: str) -> list[tuple[str, str]]:
    """Verdicts and texts for one exporter, which is given in YAML."""
    kind = exporter.partition(":")[0]
    document = f"""
receivers: {{otlp: {{protocols: {{grpc: }}}}}}
exporters: {{{exporter}}}
service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [{kind}]}}}}}}
"""
    return [(finding.verdict, str(finding)) async for finding in peers(parse(document.encode(), {}, "test.yaml"))]


def exporters(both: Receivers, headers: str = "{}") -> dict[str, str]:
    grpc, http = f"127.0.0.1:{both.grpc.port}", f"127.0.0.1:{both.http.port}"
    client = f"{{tls: {{insecure: true}}, headers: {headers}}}"
    return {
        "otlp": f'otlp: {{endpoint: "http://{grpc}", headers: {headers}}}',
        "otlphttp": f'otlphttp: {{endpoint: "http://{http}", headers: {headers}}}',
        "json": f'otlphttp: {{endpoint: "http://{http}", encoding: json, headers: {headers}}}',
        "loadbalancing": f'loadbalancing: {{protocol: {{otlp: {client}}}, resolver: {{static: {{hostnames: ["{grpc}"]}}}}}}',
    }


KINDS = pytest.mark.parametrize("kind", ["otlp", "otlphttp", "json", "loadbalancing"])


@KINDS
async def test_a_peer_that_takes_spans_is_found_to_without_being_given_any(kind: str) -> None:
    async with receivers() as both:
        ((verdict, text),) = await findings(exporters(both)[kind])
        assert (verdict, both.consumer.spans) == ("ok", 0)
        assert "takes spans" in text


@KINDS
async def test_a_peer_that_knows_no_such_caller_is_a_fault(kind: str) -> None:
    token = {"name": "edge", "token": TOKEN, "role": "ingest", "workspaces": ["default"]}
    tokens = Tokens(TokensExtension.model_validate({"tokens": [token]}), "tokens", lambda: 0.0)
    async with receivers(gate=Gate("ingest", tokens)) as both:
        ((verdict, text),) = await findings(exporters(both)[kind])
        assert verdict == "fail"
        assert "no token came" in text
        ((verdict, _),) = await findings(exporters(both, f'{{authorization: "Bearer {TOKEN}"}}')[kind])
        assert verdict == "ok"


@KINDS
async def test_a_peer_that_is_not_there_is_a_warning(kind: str) -> None:
    async with receivers() as both:
        gone = exporters(both)[kind]
    ((verdict, text),) = await findings(gone)
    assert verdict == "warn"
    assert "start it" in text


@pytest.mark.parametrize(
    ("exporter", "verdict", "text"),
    [
        (
            'otlp: {endpoint: "https://127.0.0.1:1", tls: {ca_file: /nowhere/ca.pem}}',
            "fail",
            "exporters.otlp.tls.ca_file: cannot read",
        ),
        ("loadbalancing: {resolver: {dns: {hostname: nowhere.invalid, timeout: 10s}}}", "warn", "nowhere.invalid"),
    ],
)
async def test_what_keeps_from_asking_is_told(exporter: str, verdict: str, text: str) -> None:
    ((found, told),) = await findings(exporter)
    assert found == verdict
    assert text in told

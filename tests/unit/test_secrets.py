"""Passwords and tokens are nowhere in what the daemon says: configurations shown, errors, logs, metrics, answers."""

from __future__ import annotations

import base64
import hashlib
import io
import pprint
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.access import Gates
from collector.clock import Clock
from collector.errors import CollectorError
from collector.logging import configure_logging
from collector.monitor.channels.webhook import webhook_request
from collector.monitor.secrets import NamedSecrets, SecretError
from collector.pipeline.otlp import grpc_settings
from collector.receivers.answers import answer_to
from collector.receivers.intake import Intake
from collector.telemetry import Telemetry
from config.load import parse
from config.otlp_exporters import OtlpExporter
from config.problems import ConfigError
from config.secrecy import masked
from tests.support.alert_events import alert_event
from tests.support.receivers import ListConsumer

pytestmark = pytest.mark.usefixtures("restored_logging")

# With ends that nothing else has, so that a secret is not found by chance.
SECRETS = (
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=10, max_size=60)
    .filter(lambda text: "$" not in text)
    .map(lambda text: f"q7Zk{text}w3Xv")
)


def document(**clickhouse: object) -> bytes:
    auth = {"authenticator": "tokens"}
    token = {"role": "ingest", "workspaces": ["shop"]}
    return yaml.safe_dump(
        {
            "receivers": {"otlp": {"protocols": {"grpc": {"auth": auth}}}},
            "exporters": {
                "clickhouse": {"endpoint": "http://db:8123", "password": "${env:PASSWORD}", "timeout": "5s", **clickhouse},
                "otlp": {"endpoint": "http://peer:4317", "headers": {"api-key": "${env:HEADER}"}},
            },
            "extensions": {
                "tokens": {
                    "tokens": [
                        {"name": "in-environment", "token": "${env:TOKEN}", **token},
                        {"name": "in-file", "token_file": "${env:FILE}", **token},
                    ]
                }
            },
            "service": {
                "extensions": ["tokens"],
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["clickhouse", "otlp"]}},
            },
        }
    ).encode()


def assert_silent(text: str, *secrets: str) -> None:
    for secret in secrets:
        assert secret not in text
        assert repr(secret)[1:-1] not in text
        assert hashlib.sha256(secret.encode()).hexdigest() not in text


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secrets=st.lists(SECRETS, min_size=5, max_size=5, unique=True))
def test_no_secret_is_shown(tmp_path: Path, secrets: list[str]) -> None:
    password, token, in_file, wrong, header = secrets
    file = tmp_path / "token"
    file.write_text(in_file)
    environment = {"PASSWORD": password, "TOKEN": token, "FILE": str(file), "HEADER": header}
    stream = io.StringIO()
    configure_logging("debug", "console", stream)

    config = parse(document(), environment, "collector.yaml")
    shown = [repr(config), str(config), config.model_dump_json(), pprint.pformat(config.model_dump())]
    for mistake in ({"timeout": "5"}, {"passwords": "x"}, {"endpoint": f"http://user:{password}@db:8123"}):
        with pytest.raises(ConfigError) as caught:
            parse(document(**mistake), environment, "collector.yaml")
        shown += [str(caught.value), repr(caught.value)]

    peer = config.exporters["otlp"]
    assert isinstance(peer, OtlpExporter)
    sending = grpc_settings(peer, peer.grpc_endpoint, "exporters.otlp")
    assert sending.headers == {"api-key": header}
    shown += [repr(sending), str(sending)]

    telemetry = Telemetry("1")
    gate = Gates(config, Clock()).gate("ingest", config.receivers["otlp"].protocols.grpc.auth, from_header=True)
    assert gate.admit({"authorization": f"Bearer {token}"}).principal.name == "in-environment"
    assert gate.admit({"authorization": f"Bearer {in_file}"}).principal.name == "in-file"
    with ThreadPoolExecutor(1) as pool:
        intake = Intake(ListConsumer(), telemetry, pool, "grpc", gate=gate)
        pair = base64.b64encode(f"in-file:{wrong}".encode()).decode()
        for headers in (
            {"authorization": f"Bearer {wrong}"},
            {"authorization": f"Basic {pair}"},
            {"authorization": wrong},
            {"authorization": f"Bearer {token}", "x-workspace-id": "other"},
        ):
            with pytest.raises(CollectorError) as refused:
                intake.admit(headers)
            shown += [
                repr(refused.value),
                intake.failed(refused.value).body(as_json=True).decode(),
                str(answer_to(refused.value)),
            ]
        assert_silent("".join(shown), pair)
    shown += [
        stream.getvalue(),
        telemetry.exposition().decode(),
        repr(vars(gate)),
        repr(gate.admit({"authorization": f"Bearer {token}"})),
    ]
    assert_silent("\n".join(shown), *secrets)
    assert "request_not_taken" in stream.getvalue()


@settings(deadline=None, max_examples=10)
@given(secrets=st.lists(SECRETS, min_size=3, max_size=3, unique=True))
def test_no_secret_of_alerting_is_shown(secrets: list[str]) -> None:
    hook, password, key = secrets
    environment = {"HOOK": hook, "PASSWORD": password, "KEY": key}
    alerting = {
        "secrets": {"hook": {"value": "${env:HOOK}"}, "key": {"value": "${env:KEY}"}},
        "smtp": {"endpoint": "mail:587", "username": "u", "password": "${env:PASSWORD}", "sender": "a@example.com"},
    }

    def configured(**mistake: object) -> bytes:
        whole = yaml.safe_load(document())
        whole["extensions"] = {"alerting": {**alerting, **mistake}}
        whole["receivers"] = {"otlp": {"protocols": {"grpc": None}}}
        whole["exporters"].pop("otlp")
        whole["service"] = {
            "extensions": ["alerting"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["clickhouse"]}},
        }
        return yaml.safe_dump(whole).encode()

    config = parse(configured(), environment, "collector.yaml")
    named = NamedSecrets(config.extensions["alerting"].secrets, "extensions.alerting.secrets")
    request = webhook_request(alert_event(), named.read("hook", "default"), named.read("key", "default"), 1, {}, hook)
    shown = [repr(config), config.model_dump_json(), pprint.pformat(masked(config)), repr(named), repr(request)]
    assert_silent(request.body.decode(), hook, key)
    for mistake in (
        {"secrets": {"hook": {"values": "${env:HOOK}"}, "a b": {"value": "${env:KEY}"}, "c": {"value": ["${env:KEY}"]}}},
        {"smtp": {"endpoint": "mail", "password": "${env:PASSWORD}", "sender": 1}},
    ):
        with pytest.raises(ConfigError) as caught:
            parse(configured(**mistake), environment, "collector.yaml")
        shown += [str(caught.value), repr(caught.value)]
    with pytest.raises(SecretError) as missing:
        named.read("nothing", "default")
    assert_silent("\n".join([*shown, str(missing.value)]), *secrets)

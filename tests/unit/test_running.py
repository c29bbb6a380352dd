"""A configuration that is read again: what is put in force, what waits for a restart, and what is shown of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.reloading import fingerprint
from collector.running import ConfigFile, Reloaded, RunningConfig
from config.load import load
from config.model import Config
from config.problems import ConfigError
from config.secrecy import masked
from tests.support.waiting import until


def document(processors: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "receivers": {"otlp": {"protocols": {"grpc": None}}},
        "processors": processors,
        "exporters": {"clickhouse": {"endpoint": "http://db:8123", "password": "open sesame", **rest.get("clickhouse", {})}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "processors": [*processors], "exporters": ["clickhouse"]}}},
    }


class File:
    """A configuration file that runs."""

    def __init__(self, path: Path, first: dict[str, Any]) -> None:
        self.path = path
        self.applied: list[Config] = []
        self.write(first)
        self.running = RunningConfig(self.read(), ConfigFile(path, self.read, fingerprint(path)), self.applied.append)

    def write(self, content: dict[str, Any]) -> None:
        self.path.write_text(yaml.safe_dump(content, sort_keys=False))

    def read(self) -> Config:
        return load(self.path, {})

    def reload(self, content: dict[str, Any]) -> Reloaded:
        self.write(content)
        return asyncio.run(self.running.reload())


def sampler(percentage: int) -> dict[str, Any]:
    return {"probabilistic_sampler": {"sampling_percentage": percentage}}


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "collector.yaml", document(sampler(10)))


def test_a_changed_processor_is_put_in_force(file: File) -> None:
    reloaded = file.reload(document(sampler(20)))
    assert reloaded == Reloaded(("processors.probabilistic_sampler.sampling_percentage",))
    assert file.applied == [file.read()]
    assert file.running.config == file.read()


def test_processors_come_go_and_change_places(file: File) -> None:
    span = {"span": {"name": {"from_attributes": ["db.name"]}}}
    reloaded = file.reload(document({**span, **sampler(10)}))
    assert reloaded.applied == ("processors.span", "service.pipelines.traces.processors")
    reloaded = file.reload(document({**sampler(10), **span}))
    assert reloaded.applied == ("service.pipelines.traces.processors",)
    assert file.applied[-1].service.pipelines.traces.processors == ("probabilistic_sampler", "span")
    assert file.reload(document(sampler(10))).applied == ("processors.span", "service.pipelines.traces.processors")


def test_nothing_is_put_in_force_when_nothing_has_changed(file: File) -> None:
    assert file.reload(document(sampler(10))) == Reloaded()
    assert not file.applied


def test_what_cannot_change_while_spans_pass_waits_and_the_rest_does_not(file: File) -> None:
    before = file.running.config
    reloaded = file.reload(document(sampler(20), clickhouse={"timeout": "7s"}))
    assert reloaded.applied == ("processors.probabilistic_sampler.sampling_percentage",)
    assert reloaded.at_restart == ("exporters.clickhouse.timeout",)
    assert all(config.exporters == before.exporters for config in (file.running.config, *file.applied))


def test_processors_that_are_more_than_work_on_batches_are_put_in_force_as_well(file: File) -> None:
    tail = {"tail_sampling": {"policies": [{"name": "all", "type": "always_sample"}]}}
    others = {"memory_limiter": {"limit_mib": 4000}, "batch": {"timeout": "1s"}, "topology": {}, "service_policy": {}}
    reloaded = file.reload(document({**sampler(20), **others, **tail}))
    assert not reloaded.at_restart
    assert "processors.probabilistic_sampler.sampling_percentage" in reloaded.applied
    assert {f"processors.{name}" for name in (*others, *tail)} < set(reloaded.applied)
    assert file.applied == [file.read()]


def test_processors_wait_as_well_when_one_of_them_asks_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    first, second = document(sampler(10)), document({**sampler(20), "service_policy": {}})
    first["exporters"] = {"otlp": {"endpoint": "other:4317", "tls": {"insecure": True}}}
    first["service"]["pipelines"]["traces"]["exporters"] = ["otlp"]
    file = File(tmp_path / "collector.yaml", first)
    reloaded = file.reload(second)
    assert not reloaded.applied
    assert {"processors.probabilistic_sampler.sampling_percentage", "processors.service_policy"} < set(reloaded.at_restart)
    assert not file.applied


def test_a_wrong_file_changes_nothing_and_is_told_of_with_all_its_mistakes(file: File) -> None:
    before = file.running.config
    wrong = document({"probabilistic_sampler": {"sampling_percentage": -1, "hash": 3}})
    with pytest.raises(ConfigError) as caught:
        file.reload(wrong)
    assert len(caught.value.problems) == 2
    assert file.running.config is before
    assert not file.applied
    assert (file.running.reloads, file.running.failures) == (0, 1)
    # The next one is taken as if nothing had been.
    assert file.reload(document(sampler(30))).applied


async def test_what_was_read_because_somebody_asked_is_not_read_again_because_the_file_has_changed(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def looking(path: Path) -> object:
        nonlocal looks
        looks += 1
        return fingerprint(path)

    monkeypatch.setattr("collector.running.fingerprint", looking)
    following = asyncio.create_task(file.running.follow(0.005))
    await until(lambda: looks > 1)
    file.write(document(sampler(20)))
    await file.running.reload()
    seen = looks
    await until(lambda: looks > seen + 2)
    assert file.running.reloads == 1
    file.write(document(sampler(30)))
    await until(lambda: file.running.reloads == 2)
    assert len(file.applied) == 2
    following.cancel()
    await asyncio.wait([following])


async def test_what_has_changed_since_it_was_read_first_is_read_though_nobody_asks(tmp_path: Path) -> None:
    """A start takes seconds: whoever writes the file meanwhile must not have to write it again."""
    path = tmp_path / "collector.yaml"
    path.write_text(yaml.safe_dump(document(sampler(10))))
    seen = fingerprint(path)
    config = load(path, {})
    path.write_text(yaml.safe_dump(document(sampler(20)), width=20))
    running = RunningConfig(config, ConfigFile(path, lambda: load(path, {}), seen), lambda _: None)
    following = asyncio.create_task(running.follow(0.01))
    await until(lambda: running.reloads == 1)
    following.cancel()
    assert running.config == load(path, {})


def test_no_secret_is_shown(tmp_path: Path) -> None:
    content = document({}, clickhouse={"connection_params": {"x": "hidden-setting"}})
    path = tmp_path / "collector.yaml"
    path.write_text(yaml.safe_dump(content))
    shown = json.dumps(masked(load(path, {})))
    assert not [secret for secret in ("open sesame", "hidden-setting") if secret in shown]
    assert "http://db:8123" in shown


async def test_a_fault_in_putting_one_in_force_does_not_keep_the_next_one_from_it(tmp_path: Path) -> None:
    path, applied = tmp_path / "collector.yaml", []

    def read() -> Config:
        return load(path, {})

    def apply(config: Config) -> None:
        applied.append(config)
        if len(applied) == 1:
            raise RuntimeError("a fault")

    path.write_text(yaml.safe_dump(document(sampler(10))))
    running = RunningConfig(read(), ConfigFile(path, read, fingerprint(path)), apply)
    following = asyncio.create_task(running.follow(0))
    for percentage in (20, 30):
        path.write_text(yaml.safe_dump(document(sampler(percentage))))
        count = len(applied)
        running.ask()
        await until(lambda count=count: len(applied) > count)
    await until(lambda: running.config == read())
    following.cancel()

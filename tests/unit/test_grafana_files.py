"""The files for Grafana: made by the code that is here, as Grafana's own types have them, and leading nowhere that is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from collector.grafana import DASHBOARDS, DIRECTORY
from collector.grafana.model import rendered
from collector.grafana.panels import COLUMNS
from tests.support.grafana import panels_of, variables_of

ROOT = Path(__file__).resolve().parents[2]
PROVISIONING = ROOT / "config" / "grafana" / "provisioning"
GRAFANAS_OWN = re.compile(r"__\w+")


@pytest.fixture(scope="module", autouse=True)
def _panels_of_all_kinds() -> None:
    register_default_plugins()


def texts_of(document: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from texts_of(each)
    elif isinstance(document, str):
        yield document


def test_the_files_are_current() -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == set(DASHBOARDS)
    for name, dashboard in DASHBOARDS.items():
        assert (DIRECTORY / name).read_text(encoding="utf-8") == rendered(dashboard), "run: python -m collector.grafana"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafanas_types_know_every_key_and_value(name: str) -> None:
    def known(ours: Any, theirs: Any, place: str) -> None:
        if isinstance(ours, dict):
            for key, value in ours.items():
                assert key in theirs, f"{place}.{key}"
                known(value, theirs[key], f"{place}.{key}")
        elif isinstance(ours, list):
            assert len(ours) == len(theirs), place
            for number, pair in enumerate(zip(ours, theirs, strict=True)):
                known(*pair, f"{place}[{number}]")
        else:
            assert ours == theirs, place

    dashboard = json.loads(rendered(DASHBOARDS[name]))
    known(dashboard, json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder)), name)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_numbers_and_places_of_their_own(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels_of(DASHBOARDS[name]):
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_that_is_used_is_there(name: str) -> None:
    dashboard = DASHBOARDS[name]
    known = set(variables_of(dashboard))
    for text in texts_of(dashboard):
        for found in re.findall(r"\$\{?(\w+)", text):
            assert found in known or GRAFANAS_OWN.fullmatch(found), text


def test_links_lead_to_dashboards_and_variables_that_are_there() -> None:
    variables = {dashboard["uid"]: set(variables_of(dashboard)) for dashboard in DASHBOARDS.values()}
    followed = 0
    for dashboard in DASHBOARDS.values():
        for text in texts_of(dashboard):
            if text.startswith("/d/"):
                uid, _, query = text.removeprefix("/d/").partition("?")
                assert set(re.findall(r"var-(\w+)=|\$\{([a-z]\w*):queryparam\}", query)) <= {
                    pair for variable in variables[uid] for pair in ((variable, ""), ("", variable))
                }
                followed += 1
    assert followed > 5


def test_links_to_explore_hold_what_explore_reads() -> None:
    panes = [
        json.loads(unquote(text.partition("panes=")[2]))
        for text in texts_of(DASHBOARDS["service.json"])
        if text.startswith("/explore")
    ]
    assert {pane["spans"]["datasource"] for pane in panes} == {"${jaeger}", "${tempo}"}
    assert {query["query"] for pane in panes for query in pane["spans"]["queries"]} == {"${__value.raw}"}


def test_the_data_sources_are_those_that_the_dashboards_ask_for() -> None:
    document = yaml.safe_load((PROVISIONING / "datasources" / "spanhouse.yaml").read_text(encoding="utf-8"))
    types = [source["type"] for source in document["datasources"]]
    asked = {
        variable["query"]
        for dashboard in DASHBOARDS.values()
        for variable in variables_of(dashboard).values()
        if variable["type"] == "datasource"
    }
    assert set(types) == asked
    uids = [source["uid"] for source in document["datasources"]]
    assert len(set(uids)) == len(uids)
    service_map = next(source["jsonData"]["serviceMap"] for source in document["datasources"] if source["type"] == "tempo")
    assert service_map["datasourceUid"] in uids
    # Of an older Prometheus, or one of which it knows nothing, Grafana wants all series to find the names in them.
    rates = next(source["jsonData"] for source in document["datasources"] if source["uid"] == "spanhouse-rates")
    assert rates["prometheusType"] == "Prometheus"
    assert tuple(map(int, rates["prometheusVersion"].split("."))) >= (2, 24, 0)


def test_the_dashboards_are_read_from_where_they_are_mounted() -> None:
    document = yaml.safe_load((PROVISIONING / "dashboards" / "spanhouse.yaml").read_text(encoding="utf-8"))
    (provider,) = document["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards/spanhouse")

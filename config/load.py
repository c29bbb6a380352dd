"""Loads and checks `collector.yaml`: everything that is wrong is said at once, with line and remedy. No network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from config.document import Document, read_document
from config.explain import explain, unknown_key
from config.model import KINDS, Config, Kind
from config.problems import ConfigError, KeyPath, Problem, alternatives, key_path
from config.references import check_component_id, check_listeners, check_references
from config.section import Section
from config.service import Service

SectionT = TypeVar("SectionT", bound=Section)


def load(path: Path, environment: Mapping[str, str]) -> Config:
    """Read the configuration at `path`; `${env:NAME}` is looked up in `environment`.

    Raises:
        ConfigError: the file cannot be read or used; it carries every problem found.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError((Problem("", 0, f"cannot be read: {error.strerror}"),), str(path)) from error
    return parse(content, environment, str(path))


def parse(content: bytes, environment: Mapping[str, str], source: str) -> Config:
    """Read a configuration from memory; `source` names it in messages. Raises ConfigError, as `load` does."""
    document = read_document(content, environment)
    problems = list(document.problems)
    if document.value is None and not problems:
        problems.append(Problem("", 0, "is empty", "start from the collector.yaml that comes with spanhouse"))
    elif document.value is not None and not isinstance(document.value, dict):
        problems.append(Problem("", 1, "must be a mapping that begins with receivers, exporters and service"))
    if isinstance(document.value, dict):
        config = _Builder(document, problems).build()
        if config is not None and not problems:
            return config
    raise ConfigError(_first_of_each_key(problems), source)


def _first_of_each_key(problems: list[Problem]) -> tuple[Problem, ...]:
    """In the order of the file. What follows from another problem with the same key (a variable that is not set
    leaves a value that is not right either) would only distract."""
    first: dict[tuple[str, int], Problem] = {}
    for problem in problems:
        first.setdefault((problem.path, problem.line), problem)
    return tuple(sorted(first.values(), key=lambda problem: problem.line))


class _Builder:
    """Checks a document section by section, and gathers problems instead of stopping at the first."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems

    def build(self) -> Config | None:
        root: dict[str, Any] = self.document.value
        for key in root:
            if key not in Config.model_fields:
                self.problems.append(unknown_key(Config, (key,), self.document))
        components = {kind.section: self._components(kind, root.get(kind.section)) for kind in KINDS}
        if "service" in root:
            service = self._section(Service, root["service"], ("service",))
        else:
            service = None
            self._problem(("service",), "is required: it puts the components together")
        self.problems += check_references(self.document)
        if self.problems or service is None:
            return None
        config = Config.model_validate({**components, "service": service})
        self.problems += check_listeners(config, self.document)
        return config

    def _components(self, kind: Kind, value: Any) -> dict[str, Section]:
        at = (kind.section,)
        if value is None:
            if Config.model_fields[kind.section].is_required():
                self._problem(at, f"is required: at least one {kind.word}", f"this release has: {', '.join(kind.types)}")
            return {}
        if not isinstance(value, dict):
            self._problem(at, f"must be a mapping with a key for each {kind.word}")
            return {}
        checked = {}
        for component_id, settings in value.items():
            component = self._component(kind, component_id, settings)
            if component is not None:
                checked[component_id] = component
        return checked

    def _component(self, kind: Kind, component_id: str, settings: Any) -> Section | None:
        path = (kind.section, component_id)
        fault = check_component_id(component_id)
        if fault:
            self._problem(path, fault)
            return None
        component_type = component_id.partition("/")[0]
        model = kind.types.get(component_type)
        if model is not None:
            return self._section(model, settings, path)
        instead = kind.instead_of(component_type)
        if instead is None:
            hint = alternatives(component_type, kind.types, "this release has")
            self._problem(path, f"is not a known type of {kind.word}", hint)
        else:
            self._problem(path, f"is a type of {kind.word} that this release does not have", instead)
        return None

    def _section(self, model: type[SectionT], value: Any, at: KeyPath) -> SectionT | None:
        try:
            return model.model_validate(_bare_keys_filled(model, value))
        except ValidationError as error:
            self.problems += explain(error, model, at, self.document)
            return None

    def _problem(self, path: KeyPath, message: str, hint: str = "") -> None:
        self.problems.append(Problem(key_path(path), self.document.line(path), message, hint))


def _bare_keys_filled(model: type[Section], value: Any) -> Any:
    """A key without a value means the key with its defaults, as in the reference: `grpc:` turns gRPC on."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        return value
    filled = {}
    for key, item in value.items():
        subsection = model.subsection(key)
        if subsection is not None:
            filled[key] = _bare_keys_filled(subsection, item)
        elif item is not None or key not in model.model_fields:
            filled[key] = item
    return filled

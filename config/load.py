"""Loads and checks `collector.yaml`: everything that is wrong is said at once, with line and remedy. No network."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from config.document import Document, read_document
from config.explain import explain, unknown_key
from config.exposure import check_access
from config.model import KINDS, Config, Kind
from config.problems import ConfigError, KeyPath, Problem, alternatives, key_path
from config.references import check_component_id, check_listeners, check_references, check_single, check_stores
from config.section import Section
from config.service import Service

SectionT = TypeVar("SectionT", bound=Section)

_NO_MAPPING = (
    "must be a mapping with receivers, exporters and service",
    "start from the collector.yaml that comes with spanhouse",
)


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
    builder = _Builder(document)
    config = builder.build()
    if config is None:
        problems = _without_consequences(document.problems, builder.problems)
        raise ConfigError(tuple(sorted(problems, key=lambda problem: problem.line)), source)
    return config


def _without_consequences(causes: Iterable[Problem], problems: Sequence[Problem]) -> list[Problem]:
    """All `causes` but those below a key that is to go, and each further problem unless one with the same key went before it.

    A variable that is not set, for instance, leaves a value that is wrong as well; saying so would only distract.
    """
    gone = tuple(problem.path + mark for problem in problems if problem.is_of_all for mark in ".[")
    kept = [problem for problem in causes if not problem.path.startswith(gone)]
    keys = {problem.path for problem in kept}
    for problem in problems:
        if problem.path not in keys:
            kept.append(problem)
            keys.add(problem.path)
    return kept


class _Builder:
    """Checks a document section by section, and gathers problems instead of stopping at the first."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def build(self) -> Config | None:
        """The configuration; None when the document or the builder has problems."""
        root = self.document.value
        if not isinstance(root, dict):
            self._problem((), *_NO_MAPPING)
            return None
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
        self.problems += check_single(self.document)
        if self.problems or self.document.problems or service is None:
            return None
        config = Config.model_validate({**components, "service": service})
        self.problems += check_listeners(config, self.document)
        self.problems += check_stores(config, self.document)
        self.problems += check_access(config, self.document)
        return None if self.problems else config

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
        model = kind.model_of(component_type)
        if model is not None:
            return self._section(model, settings, path)
        instead = kind.instead_of(component_type)
        if instead is None:
            hint = alternatives(component_type, kind.types, "this release has")
            self._problem(path, f"is not a known type of {kind.word}", hint)
        else:
            message = f"is a type of {kind.word} that this release does not have"
            self.problems.append(Problem(key_path(path), self.document.line(path), message, instead, is_of_all=True))
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

"""The whole configuration, as loaded from `collector.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from config.exporters import EXPORTERS, NEWER_NAMES_OF_EXPORTERS, REFERENCE_ONLY_EXPORTERS, ClickHouseExporter, Exporter
from config.extensions import EXTENSIONS, REFERENCE_ONLY_EXTENSIONS, Extension
from config.processors import PROCESSORS, REFERENCE_ONLY_PROCESSORS, Processor
from config.receivers import RECEIVERS, REFERENCE_ONLY_RECEIVERS, Receiver
from config.section import Section
from config.service import Service


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of component: which types this release has, and which only the OpenTelemetry Collector has."""

    section: str
    """Its key in the file, in the plural."""
    word: str
    """What one of them is called."""
    types: Mapping[str, type[Section]]
    """The model of each type that this release has."""
    reference_only: Mapping[str, str]
    """Types that this release has not: what to do without them."""
    newer_names: Mapping[str, str] = field(default_factory=dict)
    """Other names of types that this release has, which mean the same."""

    def model_of(self, component_type: str) -> type[Section] | None:
        """The model of a type, by either of its names; None for types that this release has not."""
        return self.types.get(self.newer_names.get(component_type, component_type))

    def instead_of(self, component_type: str) -> str | None:
        """What to do without a type that only the OpenTelemetry Collector has; None for other names.

        Underscores do not count, since the Collector has been adding them to older names.
        """
        plain = component_type.replace("_", "")
        return next((text for name, text in self.reference_only.items() if name.replace("_", "") == plain), None)


KINDS = (
    Kind("receivers", "receiver", RECEIVERS, REFERENCE_ONLY_RECEIVERS),
    Kind("processors", "processor", PROCESSORS, REFERENCE_ONLY_PROCESSORS),
    Kind("exporters", "exporter", EXPORTERS, REFERENCE_ONLY_EXPORTERS, NEWER_NAMES_OF_EXPORTERS),
    Kind("extensions", "extension", EXTENSIONS, REFERENCE_ONLY_EXTENSIONS),
)
"""Every kind of component, in the order of the file."""


class Config(Section):
    """A checked configuration: every component is used, and every name in `service` is defined.

    Components stand under their ids, `type` or `type/name`.
    """

    receivers: Mapping[str, Receiver]
    """How spans arrive."""
    processors: Mapping[str, Processor] = {}
    """What happens to them on the way; `service.pipelines` sets the order."""
    exporters: Mapping[str, Exporter]
    """Where they go."""
    extensions: Mapping[str, Extension] = {}
    """What runs beside the pipeline."""
    service: Service
    """How the components are put together."""

    @property
    def stores(self) -> Mapping[str, ClickHouseExporter]:
        """The exporters that store spans in ClickHouse, by id, in the order of the pipeline. Queries ask the first."""
        exporters = ((name, self.exporters[name]) for name in self.service.pipelines.traces.exporters)
        return {name: exporter for name, exporter in exporters if isinstance(exporter, ClickHouseExporter)}

    reference_only: ClassVar[Mapping[str, str]] = {
        "connectors": "what spanmetrics and servicegraph do, the processors red_metrics and topology do",
    }

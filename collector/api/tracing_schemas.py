"""JSON schemas of tracing configs, and of what is said and answered about them."""

from __future__ import annotations

from typing import Final

from collector.api.schemas import (
    FLAG,
    NEXT_CURSOR,
    TEXT,
    VERSION,
    Schema,
    listing,
    record,
    reference,
    stored,
    versions,
)
from collector.control.tracing_configs import TracingSettings

_TRACING_SETTINGS: Final = TracingSettings.model_json_schema()

COMPONENTS: Final[dict[str, Schema]] = {
    "TracingSettings": _TRACING_SETTINGS,
    "TracingSettingsChange": {
        **{key: value for key, value in _TRACING_SETTINGS.items() if key != "required"},
        "description": "What is to be said otherwise; what is left out stays as it is.",
    },
    "TracingConfig": record(**stored(_TRACING_SETTINGS["properties"])),
    "TracingConfigs": record(configs=listing(reference("TracingConfig")), nextCursor=NEXT_CURSOR),
    "TracingConfigVersions": versions(_TRACING_SETTINGS["properties"]),
    "TracingToggles": record(
        enabled=FLAG,
        configs={**listing(record(id=TEXT, version=VERSION)), "minItems": 1, "maxItems": 100},
    ),
    "TracingTogglesDone": record(
        results=listing(
            record(
                id=TEXT,
                status={"type": "integer", "enum": [200, 404, 409], "description": "As of a toggle of this one alone."},
                config={
                    "oneOf": [reference("TracingConfig"), {"type": "null"}],
                    "description": "As it is now; null without one.",
                },
            )
        )
    ),
    "TracingCheck": record(
        service=TEXT,
        traced={**FLAG, "description": "Whether any of its spans are kept."},
        samplingRate={"type": "number", "minimum": 0, "maximum": 1},
        excludedPaths=listing(TEXT),
        propagateContext=FLAG,
        rule={"type": "string", "enum": ["exact", "glob", "default"], "description": "What decides."},
        config={"oneOf": [reference("TracingConfig"), {"type": "null"}], "description": "What decides; null for the default."},
    ),
}

"""After the kernels were loaded, no request makes a client wait for a compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own, where no other test has compiled anything.
SCRIPT = """
import importlib
from pathlib import Path
from uuid import UUID
import numpy as np
from numba.core.dispatcher import Dispatcher
from collector.api import analysis_rendering
from collector.pipeline.registry import PROCESSORS as BUILDERS
from collector.query.adjusters import ADJUSTERS
from collector.query.analysis.completion_path import find_completion_path
from collector.query.analysis.critical_path import find_critical_path
from collector.query.batch_traces import traces_of
from collector.query.many.critical_paths import find_trace_path
from collector.query.reduction import Reduction, reduce_bars
from collector.query.view import view_of
from collector.query.waterfall import build_waterfall
from collector.control.policies import Policies
from collector.control.tracing_configs import TracingSettings
from collector.control.versions import Stored
from collector.processors.filter import Filter
from collector.processors.service_policy import ServicePolicy
from collector.processors.tail_sampling.sampler import TailSampler
from collector.service_graph import CallMeasures, ServiceGraph
from config.filtering import FilterProcessor
from config.processors import PROCESSORS as MODELS
from proto.distinct import distinct_values
from proto.edit import Edit
from proto.native_columns import encode_columns
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.otlp_json import json_to_protobuf
from proto.join import concatenate
from proto.warm import is_warm, warm
from proto.weights import stored_bytes
from tests.support.otlp_json import to_json
from tests.support.requests import every_value_request, generated_request
from tests.support.shapes import comb
from tests.support.stored import draw
from tests.support.traces import all_traces

def compiled():
    modules = [importlib.import_module(f"proto.{path.stem}") for path in Path("proto").glob("*.py") if path.stem != "__init__"]
    kernels = {kernel for module in modules for kernel in vars(module).values() if isinstance(kernel, Dispatcher)}
    return {(kernel.py_func.__module__, kernel.__name__, signature) for kernel in kernels for signature in kernel.signatures}

warm()
assert is_warm()
before = compiled()
bodies = [trace.body for trace in all_traces() if len(trace.body) < 200_000]
bodies += [json_to_protobuf(to_json(request)).protobuf for request in (every_value_request(), generated_request())]
batches = [decode(body).batch for body in bodies]
encode(concatenate(batches))
for batch in batches[:3]:
    traces_of(batch)
encode_request(concatenate(batches))
conditions = ['name == "x"', 'attributes["http.route"] == nil', 'resource.attributes["a"] == 1', "span_id == parent_span_id"]
settings = {"traces": {"span": conditions, "spanevent": ['name == "x"', 'attributes["k"] == "v"']}}
names = {"from_attributes": ["http.route", "code"], "to_attributes": {"rules": ["/(?P<id>[0-9]+)"]}}
statements = [
    'set(span.attributes["a"], span.attributes["http.route"]) where span.kind == 2',
    'set(resource.attributes["a"], span.name)',
    'replace_all_patterns(span.attributes, "value", "[0-9]", "n")',
    'merge_maps(span.attributes, resource.attributes, "upsert")',
    "flatten(span.attributes)",
    'limit(span.attributes, 3, ["a"])',
    "stringify_all(resource.attributes)",
    'set(spanevent.attributes["a"], [1, "b"])',
]
others = {
    "redaction": {"blocked_values": ["[0-9]"], "allowed_keys": ["http.route"], "redact_all_types": True, "summary": "debug"},
    "limits": {"max_value_bytes": 16, "max_attributes": 2, "max_events": 1},
    "span": {"name": names, "status": {"code": "Ok"}},
    "transform": {"trace_statements": statements},
    "topology": {},
    "red_metrics": {"dimensions": [{"name": "http.route"}]},
    "adaptive_sampling": {},
}
models = [MODELS[name].model_validate(keys) for name, keys in others.items()]
processors = [Filter(FilterProcessor.model_validate(settings)), *(BUILDERS[type(model)](model) for model in models)]
said = TracingSettings(service="*", sampling_rate=0.5, excluded_paths=("/healthz",))
policies = Policies([Stored.first(UUID(int=1), "default", said, "", 0)])
processors.append(ServicePolicy(MODELS["service_policy"](), lambda: policies))
tenants = {"name": "b", "type": "string_attribute", "string_attribute": {"key": "tenant", "values": ["a"]}}
limit = {"name": "a", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 1000}}
tail = TailSampler(MODELS["tail_sampling"].model_validate({"policies": [limit, tenants], "record_policy": True}))
for piece, batch in enumerate(batches[:20]):
    tail.add(batch, piece, 0)
while (decided := tail.decide(10**11)) is not None:
    encode(decided.batch())
graph = ServiceGraph()
for batch in batches[:20]:
    for processor in processors:
        processed = processor.process(batch)
        encode(processed.batch)
        for rows in processed.derived:
            encode_columns(rows.columns, len(rows))
        if isinstance(processed.measured, CallMeasures):
            graph.add(processed.measured)
    stored_bytes(batch)
    encode(batch.select(slice(0, 1)))
    encode_request(batch.select(slice(0, 1)))
    edit = Edit(batch, "spans", [b"url.path"])
    distinct_values(batch.data, edit.values(0, edit.present[0]))
    edit.put_texts(0, np.ones(len(batch), bool), np.zeros(len(batch), int), [b"/"])
    encode(edit.finish())
for spans in (draw("A[0,9] CLIENT @web, B[5,12]<A SERVER @cart, C[7,8]<B"), draw(comb(40))):
    view = view_of(spans, [adjuster.name for adjuster in ADJUSTERS])
    found = build_waterfall(view.spans, view.tree)
    shown = reduce_bars(view.spans, view.tree, found.table, Reduction(repeats=2))
    analysis_rendering.waterfall(view, found, shown, range(len(shown)))
    path = find_critical_path(view.spans, view.tree, overflow="ignore")
    analysis_rendering.critical_path(view, path, tolerance=0.01, overflow="ignore")
    find_completion_path(view.spans, view.tree)
    find_trace_path(spans, [1.0] * len(spans), "operation")
print(*sorted(map(str, compiled() - before)), sep="\\n")
"""


def test_no_kernel_is_compiled_after_the_daemon_is_ready() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert ended.stderr == ""
    assert ended.stdout.strip() == ""

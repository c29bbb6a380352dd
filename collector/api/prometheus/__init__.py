"""The part of Prometheus' HTTP API, under `/prometheus`, with which Grafana shows rates, errors, durations and service graphs.

`queries.py` answers PromQL, `names.py` says which series there are.
"""

from collector.api.prometheus import names, queries, rendering

ROUTES = (*queries.ROUTES, *names.ROUTES)
FORMS = {"/prometheus/": rendering.error_answer}

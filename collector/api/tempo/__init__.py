"""Tempo's query API under `/tempo`, as far as Grafana's Tempo data source asks for it over plain HTTP.

`traces.py` gives traces by id, `searching.py` finds them by TraceQL, `metrics.py` makes numbers of them, `tags.py`
completes what somebody types.
"""

from collector.api.tempo import metrics, searching, tags, traces

ROUTES = (*traces.ROUTES, *searching.ROUTES, *tags.ROUTES, *metrics.ROUTES)
FORMS = {"/tempo/": traces.error_answer}

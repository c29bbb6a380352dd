"""Jaeger's query API, so that Jaeger's page and Grafana's Jaeger data source can be pointed at us.

`routes.py` is the JSON API (`/jaeger/api`), `v3.py` the newer one (`/jaeger/api/v3`), `monitor.py` the metrics of its page
Monitor, `transform.py` what it makes of files.
"""

from collector.api.jaeger import monitor, rendering, routes, transform, v3

ROUTES = (*routes.ROUTES, *transform.ROUTES, *monitor.ROUTES, *v3.ROUTES)
FORMS = {f"{v3.PREFIX}/": v3.error_answer, "/jaeger/": rendering.error_answer}

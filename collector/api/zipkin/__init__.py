"""Zipkin's query API of version 2 under `/zipkin`: `routes.py` answers it, `rendering.py` writes its spans."""

from collector.api.zipkin import routes

ROUTES = routes.ROUTES
FORMS = {"/zipkin/": routes.error_answer}

"""Writes the OpenAPI document of all that a daemon may serve: `python -m collector.api > openapi.json`."""

from __future__ import annotations

import sys

import orjson

from collector.api import configuration
from collector.api.app import ROUTES
from collector.api.openapi import openapi_document

if __name__ == "__main__":
    document = openapi_document((*ROUTES, *configuration.ROUTES))
    # The version changes with every release; the types do not.
    document["info"]["version"] = ""
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))

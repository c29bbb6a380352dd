"""Cross-origin requests: which web pages may send spans (receiver contract NET-01 to NET-04).

CORS is no access control: a request from an origin that is not allowed is served all the same, only the page cannot read the
answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from collector.receivers.settings import Cors

_SAFE_HEADERS: Final = frozenset({"accept", "accept-language", "content-language", "content-type", "origin"})
_VARY_PREFLIGHT: Final = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class CorsPolicy:
    """Answers for browsers, from settings that name at least one origin."""

    def __init__(self, settings: Cors) -> None:
        self._origin = re.compile("|".join(map(_origin_pattern, settings.allowed_origins)), re.IGNORECASE)
        self._any_header = "*" in settings.allowed_headers
        self._headers = _SAFE_HEADERS | {name.lower() for name in settings.allowed_headers}
        self._exposed = ", ".join(dict.fromkeys(("Retry-After", *settings.exposed_headers)))
        self._max_age_s = settings.max_age_s

    @staticmethod
    def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
        """Whether a request only asks what would be allowed; any other OPTIONS is just a method that is not served."""
        return method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers

    def preflight_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers of the 204 that answers a preflight: what is allowed, or, to strangers, nothing (NET-02, NET-03)."""
        answer = {"Vary": _VARY_PREFLIGHT}
        requested = headers.get("Access-Control-Request-Headers", "")
        if (
            self._origin.fullmatch(headers["Origin"])
            and headers["Access-Control-Request-Method"].upper() == "POST"
            and self._allows_headers(requested)
        ):
            answer["Access-Control-Allow-Origin"] = headers["Origin"]
            answer["Access-Control-Allow-Methods"] = "POST"
            answer["Access-Control-Allow-Credentials"] = "true"
            if requested:
                answer["Access-Control-Allow-Headers"] = requested
            if self._max_age_s > 0:
                answer["Access-Control-Max-Age"] = str(self._max_age_s)
        return answer

    def answer_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers to add to every other answer, errors too, or the page could not read them (NET-04)."""
        origin = headers.get("Origin")
        if origin is None or not self._origin.fullmatch(origin):
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": self._exposed,
        }

    def _allows_headers(self, requested: str) -> bool:
        names = (name.strip().lower() for name in requested.split(","))
        return self._any_header or all(name in self._headers for name in names if name)


def _origin_pattern(origin: str) -> str:
    """An origin with at most one `*`, which stands for any run of characters."""
    before, star, after = origin.partition("*")
    return re.escape(before) + (".*" if star else "") + re.escape(after)

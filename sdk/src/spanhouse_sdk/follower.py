"""Follows what the collector says about this service, from a thread of its own: nobody who asks for it here ever waits.

The collector may be away, slow, or answer nonsense. Then what it said last holds, and a line of the log says so once, until it
answers again. Failure rules are different: they end by themselves if the collector, where people would end them, is not heard of.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import weakref
from functools import partial
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from opentelemetry import context

# Without it, instrumentations of the HTTP client would make spans of what is asked here. Exporters do the same.
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from spanhouse_sdk import failures
from spanhouse_sdk.errors import Nonsense
from spanhouse_sdk.failures import FailureRule, Injection
from spanhouse_sdk.settings import Settings
from spanhouse_sdk.tracing_config import TracingConfig

_log = logging.getLogger("spanhouse_sdk")
_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 1 << 20
_RULES_HOLD_S: Final = 30.0
"""So long, or six intervals if that is longer, failure rules hold without news from the collector."""


class _NoRedirects(HTTPRedirectHandler):
    """Whoever is sent elsewhere would take the token along."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Follower:
    """See the module. Any thread may ask.

    Args:
        settings: where the collector is, and as whom it is asked.

    Attributes:
        config: what the collector said last.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config = TracingConfig(settings.default_rate)
        self._rules: tuple[FailureRule, ...] = ()
        self._rules_tag = ""
        self._rules_heard_s = 0.0
        self._failing = False
        self._opener = build_opener(_NoRedirects)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def injects(self) -> bool:
        """Whether anything fails on purpose at the moment."""
        return bool(self._rules) and time.monotonic() - self._rules_heard_s < self._rules_hold_s

    def injection(self, request: failures.Request, trace_id: int) -> Injection | None:
        """What goes wrong with a request, if anything does."""
        return failures.draw(self._rules, request, trace_id, time.time()) if self.injects else None

    def start(self) -> None:
        """Begin to ask, again and again; also in processes that are forked from this one."""
        self._run_thread()
        # Windows has no forks.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_run_again, weakref.ref(self)))

    def stop(self) -> None:
        """End that; an answer that is being waited for is not waited for any longer."""
        self._stop.set()

    def refresh(self) -> None:
        """Ask once. Raises nothing."""
        token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            self.config = self._asked_config()
            if self.settings.fault_injection:
                self._rules = self._asked_rules()
                self._rules_heard_s = time.monotonic()
        except Exception as error:  # noqa: BLE001 - nothing that somebody answers may end this for good
            if not self._failing:
                self._failing = True
                _log.warning("%s; what the collector at %s said last holds on", _reason(error), self.settings.endpoint)
        else:
            if self._failing:
                self._failing = False
                _log.info("the collector at %s answers again", self.settings.endpoint)
        finally:
            context.detach(token)

    def start_in_child(self) -> None:
        """Go on in a process that was forked from the one that has started; threads do not come along."""
        if not self._stop.is_set():
            # Whatever the thread held when the process was forked is held for good.
            self._stop = threading.Event()
            self._run_thread()

    def _run_thread(self) -> None:
        thread = threading.Thread(target=_follow, args=(weakref.ref(self), self._stop), name="spanhouse-sdk", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # The machine's limit is reached, or the interpreter has no threads.
            _log.warning("the collector is not asked, as no thread can be started (%s); what is known holds on", error)
        else:
            self._thread = thread

    @property
    def _rules_hold_s(self) -> float:
        return max(_RULES_HOLD_S, 6 * self.settings.refresh_interval_s)

    def _asked_config(self) -> TracingConfig:
        status, body, _ = self._ask("tracing-configs/check")
        said = TracingConfig.from_answer(json.loads(body)) if status == 200 else self.config
        # The same object for the same words: what was worked out from it stays.
        return self.config if said == self.config else said

    def _asked_rules(self) -> tuple[FailureRule, ...]:
        status, body, tag = self._ask("failure-rules/of-service", self._rules_tag)
        if status == 304:
            return self._rules
        rules = failures.rules_from_answer(json.loads(body))
        self._rules_tag = tag
        return rules

    def _ask(self, path: str, tag: str = "") -> tuple[int, bytes, str]:
        """Status (200 or 304), body and ETag of an answer.

        Raises:
            OSError, HTTPException: there is none, or it has another status.
            Nonsense: it is too long, or takes too long.
        """
        settings = self.settings
        base = f"{settings.endpoint}/api/v1/workspaces/{quote(settings.workspace, safe='')}"
        request = Request(f"{base}/{path}?service={quote(settings.service, safe='')}", headers={"Accept": "application/json"})  # noqa: S310 - Settings let in http and https alone
        if settings.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {settings.token}")
        if tag:
            request.add_header("If-None-Match", tag)
        deadline_s = time.monotonic() + _TIMEOUT_S
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                body = bytearray()
                while part := answer.read1(1 << 16):
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise Nonsense(f"the answer is longer than {_MOST_BYTES} bytes")
                    if time.monotonic() > deadline_s:
                        raise Nonsense(f"the answer takes longer than {_TIMEOUT_S:g} s")
                return answer.status, bytes(body), answer.headers.get("ETag", "")
        except HTTPError as error:
            with error:
                if error.code == 304:
                    return 304, b"", tag
                raise


def _run_again(this: weakref.ref[Follower]) -> None:
    if (follower := this()) is not None:
        follower.start_in_child()


def _follow(this: weakref.ref[Follower], stop: threading.Event) -> None:
    """Refresh until the follower is stopped, or nobody has it any more."""
    while (follower := this()) is not None and not stop.is_set():
        follower.refresh()
        interval_s = follower.settings.refresh_interval_s
        del follower
        stop.wait(interval_s)


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"the collector has answered with status {error.code}"
    if isinstance(error, OSError):
        return f"the collector cannot be reached ({error})"
    return f"the collector's answer is not understood ({error})"

"""`spanhouse demo`: a small living shop sends its spans through the real OpenTelemetry SDK, until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from collector.cli import OK, UserError
from collector.replay.senders import knock
from collector.replay.target import Target

_LONGEST_VISIT_NS: Final = 5_000_000_000
"""Visits are told as if they had begun so long ago, so that none ends in the future."""


def execute(arguments: argparse.Namespace) -> int:
    """Play visits at the rate asked for; a signal or the end of the duration stops the play, and what is left is sent."""
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from collector.demo.shop import Shop
        from collector.demo.stage import Actors
    except ImportError as error:
        raise UserError(f"the OpenTelemetry SDK is not installed ({error.name}); run: pip install 'spanhouse[demo]'") from error
    target = Target.of(arguments.endpoint, os.environ)
    asyncio.run(knock(target, "grpc"))
    # The exporter reads certificates and headers from the environment itself.
    exporter = {"endpoint": arguments.endpoint, "insecure": not target.encrypted}
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    actors = Actors(lambda: BatchSpanProcessor(OTLPSpanExporter(**exporter), schedule_delay_millis=1000))
    shop = Shop(actors, random.Random())  # noqa: S311 - a play, no secret
    sys.stderr.write(f"the shop sends its spans to {arguments.endpoint}; stop it with Ctrl-C\n")
    visits = play(shop.visit, arguments.rate, arguments.duration, stop)
    actors.leave()
    sys.stdout.write(f"{visits} visits played\n")
    return OK


def play(visit: Callable[[int], None], rate: float, duration_s: float | None, stop: threading.Event) -> int:
    """Play visits, evenly spread, and return how many there were: fewer than asked for where the machine cannot play as many."""
    started_s = time.monotonic()
    visits = 0
    while duration_s is None or max(visits / rate, time.monotonic() - started_s) < duration_s:
        if stop.wait(max(0.0, started_s + visits / rate - time.monotonic())):
            break
        visit(time.time_ns() - _LONGEST_VISIT_NS)
        visits += 1
    return visits

"""A small shop of a dozen services: what its visitors do, and what goes wrong on the way."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from random import Random
from typing import Final

from opentelemetry.trace import SpanContext, SpanKind

from collector.demo.stage import Actors, Attributes, Failure, Stage

PRODUCTS: Final = ("kettle", "lamp", "notebook", "bicycle bell", "umbrella", "teapot")
CURRENCIES: Final = ("EUR", "USD", "JPY", "CHF")
_ATTEMPTS: Final = 3


class Shop:
    """Plays visits.

    Args:
        actors: the services' tracers.
        random: what is left to chance; the same generator state gives the same visits.
    """

    def __init__(self, actors: Actors, random: Random) -> None:
        self._actors = actors
        self._random = random
        self._placed_orders: deque[SpanContext] = deque(maxlen=100)

    def visit(self, start_ns: int) -> None:
        """One visitor does one thing, beginning at `start_ns`; sometimes orders are worked off as well."""
        stage = Stage(self._actors, start_ns, self._random)
        act = self._random.choices((self._browse, self._fill_cart, self._check_out), (6, 3, 2))[0]
        with suppress(Failure):  # the visitor has seen an error page, and the spans say why
            act(stage)
        if len(self._placed_orders) >= 3:
            self._work_off_orders(Stage(self._actors, stage.now_ns, self._random))

    def _browse(self, stage: Stage) -> None:
        product = stage.random.choice(PRODUCTS)
        with stage.call("web", "frontend", "GET /products/{id}") as request:
            request.set_attribute("shop.product", product)
            stage.at_once(lambda: self._show_product(stage), lambda: self._recommend(stage), lambda: self._advertise(stage))
            with stage.span("frontend", "render page"):
                stage.work(2, 12)

    def _show_product(self, stage: Stage) -> None:
        with stage.call("frontend", "catalog", "GET /products/{id}"):
            stage.query("catalog", "postgresql", "SELECT", "products", 0.5, 8)
            self._convert(stage, "catalog")

    def _recommend(self, stage: Stage) -> None:
        with stage.call("frontend", "recommendation", "GET /recommendations") as request:
            cold = stage.chance(0.08)
            request.set_attribute("cache.hit", not cold)
            if not cold:
                stage.query("recommendation", "redis", "GET", "recommendations", 0.2, 2)
                return
            # The slow path: everything is computed anew, product by product.
            request.add_event("cache miss", timestamp=stage.now_ns)
            for _ in PRODUCTS:
                with stage.call("recommendation", "catalog", "GET /products/{id}"):
                    stage.query("catalog", "postgresql", "SELECT", "products", 0.5, 8)
            with stage.span("recommendation", "rank products"):
                stage.work(200, 900)

    def _advertise(self, stage: Stage) -> None:
        try:
            with stage.call("frontend", "ads", "GET /ads"):
                stage.work(1, 20)
                stage.risk(0.03, "no advertisement fits")
        except Failure:
            # A page without an advertisement is a page.
            return

    def _fill_cart(self, stage: Stage) -> None:
        with stage.call("web", "frontend", "POST /cart"), stage.call("frontend", "cart", "POST /cart/items"):
            stage.query("cart", "redis", "HSET", "carts", 0.2, 3)
            with stage.call("cart", "inventory", "GET /stock/{id}"):
                stage.query("inventory", "postgresql", "SELECT", "stock", 0.5, 6)

    def _check_out(self, stage: Stage) -> None:
        with stage.call("web", "frontend", "POST /checkout"), stage.call("frontend", "checkout", "POST /orders") as request:
            request.set_attribute("shop.items", stage.random.randint(1, 6))
            with stage.call("checkout", "cart", "GET /cart"):
                stage.query("cart", "redis", "HGETALL", "carts", 0.2, 3)
            stage.at_once(lambda: self._quote_shipping(stage), lambda: self._convert(stage, "checkout"))
            self._pay(stage)
            stage.query("checkout", "postgresql", "INSERT", "orders", 1, 10)
            self._publish_order(stage)

    def _quote_shipping(self, stage: Stage) -> None:
        """Shipping is shaky: it is asked up to three times."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with stage.call("checkout", "shipping", "POST /quotes") as request:
                    request.set_attribute("http.request.resend_count", attempt - 1)
                    stage.work(5, 40)
                    stage.risk(0.15, "the carrier does not answer")
                    return
            except Failure:
                if attempt == _ATTEMPTS:
                    raise
                stage.work(50 * attempt, 100 * attempt)

    def _convert(self, stage: Stage, caller: str) -> None:
        with stage.call(caller, "currency", "GET /rates/{currency}") as request:
            request.set_attribute("shop.currency", stage.random.choice(CURRENCIES))
            stage.work(0.3, 4)

    def _pay(self, stage: Stage) -> None:
        with stage.call("checkout", "payment", "POST /charges") as request:
            with stage.call("payment", "fraud", "POST /checks"):
                stage.work(10, 120)
            try:
                stage.risk(0.06, "card declined")
            except Failure as failure:
                request.record_exception(failure, timestamp=stage.now_ns)
                raise
            stage.work(30, 250)

    def _publish_order(self, stage: Stage) -> None:
        attributes = {"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation.type": "send"}
        with stage.span("checkout", "send orders", SpanKind.PRODUCER, attributes) as message:
            stage.work(1, 6)
            self._placed_orders.append(message.get_span_context())

    def _work_off_orders(self, stage: Stage) -> None:
        """A batch of messages is a trace of its own, linked to the traces that sent them."""
        messages = [self._placed_orders.popleft() for _ in range(len(self._placed_orders))]
        stage.work(20, 400)
        for consumer in ("accounting", "email"):
            attributes: Attributes = {
                "messaging.system": "kafka",
                "messaging.destination.name": "orders",
                "messaging.operation.type": "process",
                "messaging.batch.message_count": len(messages),
            }
            with stage.span(consumer, "process orders", SpanKind.CONSUMER, attributes, links=messages):
                for _ in messages:
                    if consumer == "accounting":
                        stage.query("accounting", "postgresql", "INSERT", "ledger", 1, 8)
                    else:
                        with stage.span("email", "send confirmation"):
                            stage.work(10, 60)

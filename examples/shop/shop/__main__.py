"""`python -m shop` runs all services, and customers who come by, until a signal asks for the end."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from typing import Final

import httpx

from shop.addresses import HOST, Addresses

_SERVICES: Final = ("stock", "catalog", "storefront")
_GRACE_S: Final = 10.0
_BETWEEN_TRIES_S: Final = 0.1
_USUAL: Final = {
    # Failure rules hold in the shop: it is there to be broken.
    "SPANHOUSE_FAULT_INJECTION": "true",
    # What a tracing config or a failure rule says holds a second later.
    "SPANHOUSE_REFRESH_INTERVAL": "1",
}


async def run(visits_per_second: float) -> int:
    """Run the shop.

    Returns:
        The exit status: 1 if a service ended by itself.
    """
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    services = [await _started(name) for name in _SERVICES]
    asked = asyncio.create_task(ended.wait())
    tasks = {asyncio.create_task(service.wait()): name for service, name in zip(services, _SERVICES, strict=True)}
    customers = asyncio.create_task(_customers(visits_per_second))
    try:
        done, _ = await asyncio.wait([asked, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        customers.cancel()
        asked.cancel()
        await _end(services)
    for task in done & tasks.keys():
        sys.stderr.write(f"shop: the {tasks[task]} has ended with {task.result()}, and so has the shop\n")
    return 0 if ended.is_set() else 1


async def _started(name: str) -> Process:
    # A session of its own: Ctrl-C reaches the services through us, in order.
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"shop.{name}", env={**_USUAL, **os.environ}, start_new_session=True
    )


async def _end(services: list[Process]) -> None:
    for service in reversed(services):
        if service.returncode is not None:
            continue
        service.terminate()
        try:
            await asyncio.wait_for(service.wait(), _GRACE_S)
        except TimeoutError:
            service.kill()
            await service.wait()


async def _opened(port: int) -> None:
    """Wait until somebody listens on a port."""
    while True:
        with suppress(ConnectionError):
            _, connection = await asyncio.open_connection(HOST, port)
            connection.close()
            return
        await asyncio.sleep(_BETWEEN_TRIES_S)


async def _customers(visits_per_second: float) -> None:
    """Once the shop is open, let customers come at random times; one in four buys something."""
    addresses = Addresses.from_environment()
    for port in (addresses.stock, addresses.catalog, addresses.storefront):
        await _opened(port)
    sys.stderr.write(f"shop: open at http://{HOST}:{addresses.storefront}/docs; Ctrl-C closes it\n")
    if visits_per_second <= 0:
        return
    chance = random.Random()  # noqa: S311 - nothing depends on its being unpredictable
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{addresses.storefront}") as client:
        while True:
            await asyncio.sleep(chance.expovariate(visits_per_second))
            wanted = chance.choice(("tea", "coffee", "cake"))
            # Whatever becomes of a visit shows in its trace.
            with suppress(httpx.HTTPError):
                await client.get(f"/products/{wanted}")
                if chance.random() < 0.25:
                    await client.post("/orders", json={"product": wanted})


def main() -> int:
    """Run the shop as the command line says."""
    parser = argparse.ArgumentParser(prog="shop", description="Runs the shop until Ctrl-C.")
    parser.add_argument("--visits-per-second", type=float, default=1.0, help="how many customers come by (default: 1; 0: none)")
    return asyncio.run(run(parser.parse_args().visits_per_second))


if __name__ == "__main__":
    sys.exit(main())

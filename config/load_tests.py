"""What load tests and saved requests may do: the extension `load_tests`."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from config.destinations import Destinations
from config.secrets import Secret, SecretName
from config.section import Section
from config.tls import ClientTls
from config.values import Duration, refuse_booleans

_Rate = Annotated[float, Field(gt=0, le=1_000_000), BeforeValidator(refuse_booleans)]
_Lanes = Annotated[int, Field(ge=1, le=10_000), BeforeValidator(refuse_booleans)]
_Runs = Annotated[int, Field(ge=1, le=100), BeforeValidator(refuse_booleans)]
_DAY = Duration.parse("24h")


class LoadTestsExtension(Section):
    """Load tests and saved requests, which people describe and send over the API. They go out from this machine, so say here
    where to and how many. Without the extension, nothing can be sent."""

    allowed_targets: Destinations = ()
    """Where they may be sent besides this machine: names, globs, addresses and networks, each with or without a port, such as
    `*.staging.example.com`, `10.1.0.0/16` or `shop.internal:8080`. All addresses of a name must be allowed, and so must be those
    that redirects lead to."""
    max_rate: _Rate = 10_000.0
    """No test may send more requests a second than this."""
    max_concurrency: _Lanes = 1000
    """No test may have more requests in flight than this."""
    max_duration: Duration = Duration.parse("1h")
    """No test may last longer than this, 24 hours at most."""
    max_runs: _Runs = 2
    """So many tests may run on this collector at once."""
    tls: ClientTls = ClientTls()
    """How targets with `https` are known."""
    secrets: Mapping[SecretName, Secret] = {}
    """What headers of requests may refer to by name, as `${secret:NAME}`. Nobody is shown them, and they are stored nowhere."""

    @field_validator("max_duration")
    @classmethod
    def _bounded(cls, value: Duration) -> Duration:
        if not 0 < value <= _DAY:
            raise ValueError("must be longer than 0s, and at most 24h")
        return value

"""Where spans go: the `exporters` section."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from config.embedded import EmbeddedDatabase
from config.section import Section
from config.tls import ClientTls
from config.values import Count, Duration, Identifier, PositiveCount

_EMBEDDED = "embedded"
_DEFAULT_PORTS = {"http": 8123, "https": 8443}
_KEYS_INSTEAD_OF_PARAMETERS = {
    "async_insert": "async_insert",
    "database": "database",
    "password": "password",
    "user": "username",
    "username": "username",
}
_OWN_PARAMETERS = ("insert_deduplicate", "insert_deduplication_token", "query", "query_cache_tag", "query_id")


def _split_endpoints(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _database_url(text: str) -> str:
    """Bring an HTTP endpoint into the form `scheme://host:port/path`, without a trailing slash."""
    if text == _EMBEDDED:
        return text
    if re.match(r"(?:tcp|clickhouse|native)://", text):
        raise ValueError("must be http(s)://host:port: spanhouse speaks ClickHouse's HTTP interface (port 8123)")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(f"must be {_EMBEDDED} or http(s)://host:port") from None
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or any(map(str.isspace, text)):
        raise ValueError(f"must be {_EMBEDDED} or http(s)://host:port")
    if "@" in url.netloc:
        raise ValueError("must not carry a user or password: use the keys username and password")
    if url.query or url.fragment:
        raise ValueError("must not carry parameters: use the key connection_params")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}:{_DEFAULT_PORTS[url.scheme] if port is None else port}{url.path.rstrip('/')}"


def _cluster(text: str) -> str:
    if not re.fullmatch(r"[\w.{}-]*", text, re.ASCII):
        raise ValueError("must be the name of a cluster, or a macro such as {cluster}")
    return text


def _parameter_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


_Parameter = Annotated[str, BeforeValidator(_parameter_text, json_schema_input_type=str | int | float | bool)]


class TableEngine(Section):
    """The engine of tables that spanhouse creates."""

    name: Identifier = "MergeTree"
    """The engine's name, such as `MergeTree` or `ReplicatedMergeTree`."""
    params: str = ""
    """What stands in the brackets after the name."""


class QueueBatch(Section):
    """The size of what is sent at once. ClickHouse stores few large inserts far better than many small ones."""

    min_size: Count = 8192
    """Send once this many spans are there; 0 leaves the decision to `flush_timeout`."""
    max_size: Count = 0
    """Split what is larger than this many spans; 0 never splits."""
    flush_timeout: Duration = Duration.parse("200ms")
    """Send this long after the first span, whatever the size."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "sizer": "batches are counted in spans; bytes are bounded by sending_queue.max_bytes",
        "partition": "spans of all clients share batches",
    }

    @field_validator("max_size")
    @classmethod
    def _room_for_a_batch(cls, value: int, info: ValidationInfo) -> int:
        if 0 < value < info.data.get("min_size", 0):
            raise ValueError("must be 0 or at least min_size")
        return value


class SendingQueue(Section):
    """What waits in memory between the receivers and ClickHouse.

    With the journal extension only `num_consumers` and `batch` count.
    """

    enabled: bool = True
    """Whether batches are prepared while others are being sent; without it, one at a time."""
    num_consumers: PositiveCount = 2
    """How many batches are sent at once: one on its way while the next is encoded. Each takes memory, here and in ClickHouse."""
    queue_size: PositiveCount = 1000
    """How much may wait, in the unit of `sizer`."""
    sizer: Literal["requests", "items", "bytes"] = "requests"
    """The unit of `queue_size`: `requests` for batches, `items` for spans, or `bytes`."""
    max_bytes: PositiveCount = 134_217_728
    """How much may wait in bytes, whatever the `sizer`. The Collector has no such key."""
    block_on_overflow: bool = True
    """At the bound, let requests wait for a moment before clients are asked to come back later; with false, ask at once."""
    batch: QueueBatch = QueueBatch()
    """The size of what is sent at once."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "storage": "use the journal extension, which keeps spans on disk for all exporters",
        "wait_for_result": "leave it out: a span is acknowledged when the queue has it",
    }


class RetryOnFailure(Section):
    """How a batch that ClickHouse did not take is sent again, under the same deduplication token."""

    enabled: bool = True
    """Whether a batch is sent again at all."""
    initial_interval: Duration = Duration.parse("5s")
    """How long to wait before the second attempt."""
    randomization_factor: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Each wait is longer or shorter by up to this part of itself, so that senders do not return in step."""
    multiplier: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.5
    """Each wait is this many times the one before it."""
    max_interval: Duration = Duration.parse("30s")
    """The longest wait."""
    max_elapsed_time: Duration = Duration.parse("0")
    """Give up after this long; 0 never does, so that no acknowledged span is lost in a long outage."""

    @field_validator("initial_interval", "max_interval")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than 0, so that a server in trouble is left to recover")
        return value


class DeadLetters(Section):
    """Where spans are kept that ClickHouse refuses for what they hold, or that were given up; see `spanhouse dead-letter`."""

    enabled: bool = True
    """Whether they are kept; without it they are dropped and counted."""
    directory: Annotated[str, Field(min_length=1)] = "./spanhouse-dead-letters"
    """Where they are; relative to the working directory. It is made when the first one is."""
    max_bytes: PositiveCount = 1_073_741_824
    """The most that they take on disk; what comes beyond is dropped and counted."""


class ClickHouseExporter(Section):
    """Stores spans in ClickHouse, in the table that the Collector's exporter made known."""

    endpoint: Annotated[
        tuple[Annotated[str, AfterValidator(_database_url)], ...],
        Field(min_length=1),
        BeforeValidator(_split_endpoints, json_schema_input_type=str | list[str]),
    ] = (_EMBEDDED,)
    """`embedded`, or `http(s)://host:port`; several servers as a list or with commas between them."""
    username: str = "default"
    """The database user; not for the embedded database, which has users of its own under `embedded.users`."""
    password: SecretStr = SecretStr("")
    """The user's password; take it from the environment: `${env:CLICKHOUSE_PASSWORD}`."""
    database: Identifier = "otel"
    """The database of the tables."""
    connection_params: Mapping[str, _Parameter] = {}
    """ClickHouse settings that are sent with every request."""
    ttl: Duration = Duration.parse("0")
    """How long spans are kept, such as `168h`; 0 keeps them for ever. Applies to tables that spanhouse creates."""
    create_schema: bool = True
    """Whether database and tables are created at the start. Without it, rights to insert and read are enough."""
    compress: Literal["lz4", "none"] = "lz4"
    """How inserts are compressed on their way."""
    async_insert: bool = False
    """Let ClickHouse gather inserts. Off by default, unlike in the Collector: batches are large already."""
    cluster_name: Annotated[str, AfterValidator(_cluster)] = ""
    """The cluster on which tables are created (`ON CLUSTER`); empty for a single server."""
    table_engine: TableEngine = TableEngine()
    """The engine of tables that spanhouse creates."""
    traces_table_name: Identifier = "otel_traces"
    """The table of the spans."""
    tls: ClientTls = ClientTls()
    """Encryption of `https://` endpoints; of an embedded database with `tls`, whose certificate is known, the client's own
    certificate alone."""
    timeout: Duration = Duration.parse("30s")
    """How long one insert may take. The Collector's 5s are short for a server that is merging."""
    sending_queue: SendingQueue = SendingQueue()
    """What waits in memory."""
    retry_on_failure: RetryOnFailure = RetryOnFailure()
    """How a failed insert is repeated."""
    dead_letters: DeadLetters = DeadLetters()
    """What becomes of spans that are not stored in the end."""
    embedded: EmbeddedDatabase = EmbeddedDatabase()
    """The ClickHouse that the daemon starts itself; of use only with `endpoint: embedded`."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "json": "attributes are stored as maps, which every reader of the table knows",
        "ttl_days": "use ttl, such as 168h for seven days",
        "logs_table_name": "spanhouse takes spans only",
        "metrics_table_name": "spanhouse takes spans only",
        "metrics_tables": "spanhouse takes spans only",
        "dsn": "use endpoint, username, password and database",
    }

    @field_validator("endpoint")
    @classmethod
    def _one_way_to_the_store(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        if _EMBEDDED in endpoints and len(endpoints) > 1:
            raise ValueError(f"must be either {_EMBEDDED} or servers, not both")
        return endpoints

    @field_validator("tls")
    @classmethod
    def _one_word_on_encryption(cls, tls: ClientTls, info: ValidationInfo) -> ClientTls:
        if tls.insecure and any(url.startswith("https:") for url in info.data.get("endpoint", ())):
            raise ValueError("must not be insecure with an https:// endpoint: write http://, or leave insecure out")
        return tls

    @field_validator("connection_params")
    @classmethod
    def _settings_only(cls, parameters: Mapping[str, str]) -> Mapping[str, str]:
        for name in parameters:
            if name in _KEYS_INSTEAD_OF_PARAMETERS:
                raise ValueError(f"must not hold {name}: use the key {_KEYS_INSTEAD_OF_PARAMETERS[name]}")
            if name in _OWN_PARAMETERS:
                raise ValueError(f"must not hold {name}: spanhouse sets it itself")
        return parameters

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than 0, so that a dead connection is noticed")
        return value

    @field_validator("ttl")
    @classmethod
    def _whole_seconds(cls, value: Duration) -> Duration:
        if value % 1_000_000_000:
            raise ValueError("must be whole seconds, which is what ClickHouse counts")
        return value

    @property
    def is_embedded(self) -> bool:
        """Whether the daemon starts ClickHouse itself."""
        return self.endpoint == (_EMBEDDED,)

    @property
    def urls(self) -> tuple[str, ...]:
        """Base URLs of ClickHouse's HTTP interface, `scheme://host:port` each, without a trailing slash."""
        if not self.is_embedded:
            return self.endpoint
        return (f"{'http' if self.embedded.tls is None else 'https'}://{self.embedded.address}",)


Exporter = ClickHouseExporter
EXPORTERS: Mapping[str, type[Exporter]] = {"clickhouse": ClickHouseExporter}
"""Every exporter of this release by its type."""

_CLICKHOUSE = "use the clickhouse exporter"

REFERENCE_ONLY_EXPORTERS: Mapping[str, str] = {
    "debug": f"{_CLICKHOUSE}, and look at spans through the query extension",
    "logging": f"{_CLICKHOUSE}, and look at spans through the query extension",
    "file": _CLICKHOUSE,
    "otlp": f"{_CLICKHOUSE}, or split the spans in a collector in front",
    "otlp_grpc": f"{_CLICKHOUSE}, or split the spans in a collector in front",
    "otlphttp": f"{_CLICKHOUSE}, or split the spans in a collector in front",
    "otlp_http": f"{_CLICKHOUSE}, or split the spans in a collector in front",
    "loadbalancing": f"{_CLICKHOUSE}, or split the spans in a collector in front",
    "kafka": f"{_CLICKHOUSE}, or split the spans in a collector in front",
    "jaeger": f"{_CLICKHOUSE}: the query extension answers Jaeger's requests",
    "zipkin": f"{_CLICKHOUSE}: the query extension answers Zipkin's requests",
    "prometheus": "spanhouse takes spans only",
    "prometheusremotewrite": "spanhouse takes spans only",
    "nop": _CLICKHOUSE,
}
"""Exporters of the OpenTelemetry Collector that this release has not: what to do without them."""

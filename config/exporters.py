"""Where spans go: the `exporters` section."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from config.debug_exporter import DebugExporter
from config.embedded import EmbeddedDatabase
from config.load_balancing import LoadBalancingExporter
from config.otlp_exporters import OtlpExporter, OtlpHttpExporter
from config.section import Section
from config.sending import DeadLetters, RetryOnFailure, SendingQueue, Timeout
from config.tls import ClientTls
from config.values import Duration, Identifier

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
    """What stands in the brackets after the name, the same for all tables: of a replicated engine, such as
    `'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'`, or nothing, for what the server has set."""

    @field_validator("params")
    @classmethod
    def _a_path_for_each_table(cls, params: str, info: ValidationInfo) -> str:
        is_replicated = str(info.data.get("name", "")).startswith("Replicated")
        if is_replicated and params.strip() and not any(macro in params for macro in ("{table}", "{uuid}")):
            raise ValueError("must hold {table} or {uuid}: each table needs a path of its own in Keeper")
        return params


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
    history_ttl: Duration = Duration.parse("2160h")
    """How long what was done is kept: executions of saved requests, runs of load tests, and what happened to alerts; 0 keeps it
    for ever, and so is kept what happened to an alert that is open. Applies to tables that have no limit of their own."""
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
    timeout: Timeout = Duration.parse("30s")
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
        "profiles_table_name": "spanhouse takes spans only",
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

    @field_validator("ttl", "history_ttl")
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


Exporter = ClickHouseExporter | OtlpExporter | OtlpHttpExporter | LoadBalancingExporter | DebugExporter
EXPORTERS: Mapping[str, type[Exporter]] = {
    "clickhouse": ClickHouseExporter,
    "otlp": OtlpExporter,
    "otlphttp": OtlpHttpExporter,
    "loadbalancing": LoadBalancingExporter,
    "debug": DebugExporter,
}
"""Every exporter of this release by its type."""

NEWER_NAMES_OF_EXPORTERS: Mapping[str, str] = {
    "otlp_grpc": "otlp",
    "otlp_http": "otlphttp",
    "load_balancing": "loadbalancing",
}
"""What the OpenTelemetry Collector has come to call exporters that this release has: they may be called so here too."""

_CLICKHOUSE = "use the clickhouse exporter"
_THROUGH_OTLP = "send the spans to a collector that has it, with the otlp exporter"

REFERENCE_ONLY_EXPORTERS: Mapping[str, str] = {
    "logging": "write debug, its newer name",
    "file": _CLICKHOUSE,
    "kafka": _THROUGH_OTLP,
    "jaeger": f"{_CLICKHOUSE}: the query extension answers Jaeger's requests",
    "zipkin": f"{_CLICKHOUSE}: the query extension answers Zipkin's requests",
    "datadog": _THROUGH_OTLP,
    "awsxray": _THROUGH_OTLP,
    "googlecloud": _THROUGH_OTLP,
    "azuremonitor": _THROUGH_OTLP,
    "elasticsearch": _THROUGH_OTLP,
    "opensearch": _THROUGH_OTLP,
    "jaeger_storage_exporter": _CLICKHOUSE,
    "prometheus": "spanhouse takes spans only",
    "prometheusremotewrite": "spanhouse takes spans only",
    "loki": "spanhouse takes spans only",
    "nop": _CLICKHOUSE,
}
"""Exporters of the OpenTelemetry Collector that this release has not: what to do without them."""

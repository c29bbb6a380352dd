"""How notifications leave: the mail server, and what goes for all channels."""

from email.utils import parseaddr
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from config.destinations import Destinations
from config.section import Section
from config.tls import ClientTls
from config.values import Duration, TcpAddress, TcpEndpoint, is_loopback


def _mail_server(text: str) -> str:
    address = TcpAddress.parse(text)
    if not address.port or text.startswith(":"):
        raise ValueError("must name a host, and a port from 1 to 65535")
    return text


def _trace_url(text: str) -> str:
    if text and (not text.startswith(("http://", "https://")) or "{trace_id}" not in text):
        raise ValueError("must be a URL with {trace_id} where the trace's id goes, and maybe {workspace}")
    return text


class Smtp(Section):
    """The server that takes mail for channels of the type `email`."""

    endpoint: Annotated[TcpEndpoint, AfterValidator(_mail_server)]
    """Its host and port: usually 587 with `starttls`, 465 with `tls`."""
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` begins in clear text and goes no further without encryption, `tls` is encrypted from the start."""
    tls: ClientTls = ClientTls()
    """How its certificate is checked."""
    username: str = ""
    """For servers that want one; empty logs in nowhere."""
    password: SecretStr = SecretStr("")
    """Its password, from the environment: `${env:NAME}`."""
    sender: str
    """Who mail comes from: an address, or `Name <address>`."""
    allowed_recipients: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Globs of addresses that mail may be sent to, such as `*@example.com`, in either case."""

    @field_validator("sender")
    @classmethod
    def _an_address(cls, text: str) -> str:
        if "@" not in parseaddr(text)[1] or not text.isprintable():
            raise ValueError("must be an address, or Name <address>")
        return text

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> "Smtp":
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("must have both username and password, or neither")
        if self.username and self.encryption == "none" and not is_loopback(self.address.host):
            raise ValueError("must be encrypted, or the password would travel in clear text")
        return self

    @property
    def address(self) -> TcpAddress:
        """`endpoint`, taken apart."""
        return TcpAddress.parse(self.endpoint)


class Notifications(Section):
    """What goes for all channels."""

    allowed_destinations: Destinations = ()
    """Where channels may send besides public addresses: host names, globs, addresses and networks, with or without ports. For
    link-local addresses and metadata services of clouds, only rules on addresses count."""
    ca_file: str = ""
    """Certificates of authorities, PEM, that may sign those of webhooks besides the system's authorities."""
    timeout: Duration = Duration.parse("10s")
    """How long one attempt may take."""
    give_up_after: Duration = Duration.parse("2h")
    """How long a notification is tried again that could not be delivered."""
    trace_url: Annotated[str, AfterValidator(_trace_url)] = ""
    """Where a trace can be looked at, for links in messages: a URL with `{trace_id}` in it, and maybe `{workspace}`."""

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than 0")
        return value

"""A mail server, with encryption and users where they are wanted."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """What came in.

    Attributes:
        port: where it listens, on 127.0.0.1.
        messages: what it took, in order.
        recipients: of each of these.
        encrypted: whether each of these came encrypted.
        users: name → password.
        refusals: recipient → what it is told instead.
        answers: to whole messages, instead of taking them, the next one first.
    """

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, protocol: SMTP, _: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        assert protocol.transport is not None
        self.encrypted.append(protocol.transport.get_extra_info("ssl_object") is not None)
        return "250 Taken"

    def authenticate(self, _: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword), mechanism
        # What is not handled here is answered by the library.
        return AuthResult(success=self.users.get(data.login.decode()) == data.password.decode(), handled=False)


class _Protocol(SMTP):
    """The library leaves connections open on which encryption did not come about; they are closed at the end."""

    opened: list[asyncio.BaseTransport]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened.append(transport)
        super().connection_made(transport)


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None, *, implicit: bool = False, **attributes: Any
) -> AsyncIterator[MailServer]:
    """A mail server while the context lasts.

    Args:
        tls: for encryption, without which nothing is taken then.
        implicit: whether that begins at once instead of by STARTTLS.
        attributes: of MailServer.
    """
    server = MailServer(**attributes)
    needs_login = bool(server.users)
    opened: list[asyncio.BaseTransport] = []

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            # The library takes a connection that was encrypted from the start for one that is not.
            warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS", UserWarning)
            made = _Protocol(
                server,
                hostname="mail.test",
                tls_context=None if implicit else tls,
                require_starttls=tls is not None and not implicit,
                auth_required=needs_login,
                auth_require_tls=tls is not None and not implicit,
                authenticator=server.authenticate,
                loop=asyncio.get_running_loop(),
            )
        made.opened = opened
        return made

    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for transport in opened:
            transport.close()
        await listener.wait_closed()

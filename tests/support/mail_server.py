"""A mail server, with encryption and users where they are wanted."""

from __future__ import annotations

import asyncio
import ssl
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

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None)
        return "250 Taken"

    def authenticate(self, _: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword), mechanism
        return AuthResult(success=self.users.get(data.login.decode()) == data.password.decode())


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

    def protocol() -> SMTP:
        return SMTP(
            server,
            hostname="mail.test",
            tls_context=None if implicit else tls,
            require_starttls=tls is not None and not implicit,
            auth_required=needs_login,
            auth_require_tls=not implicit and tls is not None,
            authenticator=server.authenticate,
            loop=asyncio.get_running_loop(),
        )

    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()

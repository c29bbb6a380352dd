"""Values from the environment: `${env:NAME}`, `${env:NAME:-default}`, and `$$` for a dollar sign."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Substituted:
    """A text after substitution.

    Attributes:
        text: the text with every reference replaced that could be. The others stay: without them, a value would seem to be
            missing, which is not what is wrong.
        from_environment: whether any of it came from a reference, so that it may hold a secret.
        faults: what was wrong with references; no value of a variable is in there.
    """

    text: str
    from_environment: bool
    faults: tuple[str, ...]


def substitute(text: str, environment: Mapping[str, str]) -> Substituted:
    """Replace every reference in `text`. What a variable holds is not looked at again.

    `${NAME}` is `${env:NAME}`, as in the OpenTelemetry Collector.
    """
    faults: list[str] = []
    referred = False

    def replace(match: re.Match[str]) -> str:
        nonlocal referred
        if match[0] == "$$":
            return "$"
        referred = True
        value = _look_up(match[1], bool(match[2]), environment)
        if isinstance(value, _Fault):
            faults.append(value.text)
            return match[0]
        return value

    replaced = _REFERENCE.sub(replace, text)
    return Substituted(replaced, referred, tuple(faults))


@dataclass(frozen=True, slots=True)
class _Fault:
    text: str


def _look_up(content: str, closed: bool, environment: Mapping[str, str]) -> str | _Fault:
    if not closed:
        return _Fault("has ${ without a closing }; write $${ for the characters themselves")
    scheme, colon, rest = content.partition(":")
    if colon and not rest.startswith("-"):
        if scheme != "env":
            return _Fault("must refer to the environment, as ${env:NAME}; this release reads no other source")
        content = rest
    name, has_default, default = content.partition(":-")
    if not _NAME.fullmatch(name):
        return _Fault("must refer to a variable as ${env:NAME} or ${env:NAME:-default}")
    value = environment.get(name, default if has_default else None)
    if value is None:
        return _Fault(f"needs the environment variable {name}, which is not set; set it, or give a default: ${{env:{name}:-...}}")
    return value

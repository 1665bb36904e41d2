"""Which server is meant and who the caller is: contexts of the configuration file, and tokens.

Thread-safe: functions, and a class whose objects do not change.
"""

from __future__ import annotations

import os
import re
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import grpc

from atelier.errors import InvalidArgument, NotFound, printable

_TOKEN = re.compile(r"atelier_[0-9a-f]{8}_[0-9a-f]{64}")
_KEYS = ("server", "tls-ca", "tls-cert", "tls-key", "token-file")


def read_token(path: str) -> str:
    """The token in a file; InvalidArgument if it holds anything else."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            token = file.read(4096).strip()
    except OSError as error:
        raise InvalidArgument(f"token_file: {printable(path)}: {error.strerror}.") from None
    if not _TOKEN.fullmatch(token):
        raise InvalidArgument(f"token_file: {printable(path)} holds no token, which begins with "
                              "atelier_; `atelier admin token add` prints one.")
    return token


def check_token_is_safe(address: str, tls: bool) -> None:
    """InvalidArgument if a token would travel to `address` in plain text."""
    host = address.rpartition(":")[0]
    local = (address.startswith("unix:") or host.lower() in ("localhost", "[::1]")
             or re.fullmatch(r"127(\.\d{1,3}){3}", host))
    if not tls and not local:
        raise InvalidArgument(f"token_file: the token would travel to {printable(address)} in plain "
                              "text; give tls_ca, the CA of a server that uses TLS.")


class _Details(namedtuple("_Details", ("method", "timeout", "metadata", "credentials",
                                       "wait_for_ready", "compression")),
               grpc.ClientCallDetails):
    """A call's details with other metadata."""


class ShowToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
                grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Shows the server a token, with every call of a channel."""

    def __init__(self, token: str) -> None:
        self._entry = ("authorization", f"Bearer {token}")

    def _with_token(self, details: Any) -> _Details:
        return _Details(details.method, details.timeout, [*(details.metadata or ()), self._entry],
                        details.credentials, getattr(details, "wait_for_ready", None),
                        getattr(details, "compression", None))

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any,
                              request: Any) -> Any:
        """As gRPC describes it, and the next three."""
        return continuation(self._with_token(client_call_details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any,
                               request: Any) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def intercept_stream_unary(self, continuation: Callable[..., Any], client_call_details: Any,
                               request_iterator: Any) -> Any:
        return continuation(self._with_token(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Callable[..., Any], client_call_details: Any,
                                request_iterator: Any) -> Any:
        return continuation(self._with_token(client_call_details), request_iterator)


def contexts_path() -> str:
    """Where the configuration file is; empty if there is no home directory."""
    if os.environ.get("ATELIER_CONFIG"):
        return os.environ["ATELIER_CONFIG"]
    config = os.environ.get("XDG_CONFIG_HOME", "")
    if config.startswith("/"):
        return os.path.join(config, "atelier", "config")
    home = os.environ.get("HOME")
    return os.path.join(home, ".config", "atelier", "config") if home else ""


def find_context(path: str, name: str) -> dict[str, str] | None:
    """The context of that name, or for an empty name the current one, as the command line does it."""
    if not name and not (path and os.path.exists(path)):
        return None
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise InvalidArgument(f"context: the configuration file cannot be read: {printable(path)}: "
                              f"{error.strerror}.") from None
    try:
        current, contexts = _parse(text, os.path.dirname(path))
    except ValueError as error:
        raise InvalidArgument(f"{printable(path)}, {error}.") from None
    wanted = name or current
    if not wanted:
        return None
    if wanted not in contexts:
        names = ", ".join(map(printable, sorted(contexts))) or "none"
        raise NotFound(f"{printable(path)} has no context '{printable(wanted)}'; it has: {names}.")
    return contexts[wanted]


def _parse(text: str, folder: str) -> tuple[str, dict[str, dict[str, str]]]:
    current = section = ""
    contexts: dict[str, dict[str, str]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.partition("#")[0].strip()
        key, equals, value = (word.strip() for word in line.partition("="))
        if line.startswith("[") and line.endswith("]") and line[1:-1].strip():
            section = line[1:-1].strip()
            contexts.setdefault(section, {})
        elif line and not (equals and value):
            raise ValueError(f"line {number}: it must be [NAME] or KEY = VALUE")
        elif line and not section:
            if key != "current":
                raise ValueError(f"line {number}: '{printable(key)}' stands before the first [NAME]; "
                                 "only current may")
            current = value
        elif line:
            if key not in _KEYS:
                raise ValueError(f"line {number}: '{printable(key)}' is no key; it must be "
                                 + ", ".join(_KEYS))
            path = key != "server"
            contexts[section][key] = (os.path.join(folder, os.path.expanduser(value)) if path
                                      else value)
    return current, contexts

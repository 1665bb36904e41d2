"""Why a connection failed: looks at what listens at an address, and says what to do about it.

Thread-safe: pure functions, apart from the sockets that they open and close.
"""

from __future__ import annotations

import socket
import ssl
from typing import Protocol

from atelier.errors import InvalidArgument, printable

_PATIENCE = 2.0  # Seconds, for each step of a look.
# The connection preface of HTTP/2 and an empty SETTINGS frame.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


class Files(Protocol):
    """PEM files; an empty path is none."""

    @property
    def ca(self) -> str: ...
    @property
    def cert(self) -> str: ...
    @property
    def key(self) -> str: ...


def check_files(files: Files) -> ssl.SSLContext:
    """A context with the files; InvalidArgument names the argument whose file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    try:
        if files.ca:
            argument, path = "tls_ca", files.ca
            context.load_verify_locations(files.ca)
        if files.cert:
            argument, path = "tls_cert and tls_key", files.cert
            context.load_cert_chain(files.cert, files.key)
    except ssl.SSLError as error:
        raise InvalidArgument(f"{argument}: {printable(path)} is not a PEM file that can be used: "
                              f"{error.reason or error}.") from None
    except OSError as error:
        raise InvalidArgument(f"{argument}: {printable(error.filename or path)} cannot be read: "
                              f"{error.strerror}.") from None
    return context


def _open(address: str) -> socket.socket:
    if address.startswith("unix:"):
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(_PATIENCE)
        opened.connect(address.removeprefix("unix:"))
        return opened
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE)


def _speaks_tls(address: str) -> bool:
    """Whether the server answers to a handshake, whatever it thinks of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with context.wrap_socket(_open(address)):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _plain_protocol(address: str) -> str:
    """http2, http1, unknown or silent; of a server that is spoken to without TLS."""
    try:
        with _open(address) as opened:
            opened.sendall(_HTTP2_PREFACE)
            answer = opened.recv(64)
    except OSError:
        return "silent"
    if answer.startswith(b"HTTP/"):
        return "http1"
    if answer[3:4] == b"\4":  # A frame of type SETTINGS.
        return "http2"
    return "unknown" if answer else "silent"


def _tls_error(server: str, address: str, files: Files) -> str:
    """What hinders a connection to a server that uses TLS."""
    if not files.ca:
        return (f"The server at {server} uses TLS: give the CA of its certificate with tls_ca=FILE "
                "or ATELIER_TLS_CA.")
    try:
        with check_files(files).wrap_socket(_open(address)) as secured:
            secured.recv(1)  # With TLS 1.3 the server judges the client's certificate afterwards.
    except ssl.SSLCertVerificationError as error:
        return (f"The server at {server} is not trusted: {printable(error.verify_message)}; the "
                f"authorities are those in {printable(files.ca)} (tls_ca).")
    except OSError:
        pass
    if not files.cert:
        return (f"The server at {server} requires a client certificate: give tls_cert=FILE and "
                "tls_key=FILE.")
    return (f"The server at {server} does not accept the client certificate {printable(files.cert)} "
            "(tls_cert): it must be issued by a CA that the server trusts.")


def explain(address: str, files: Files, why: str) -> str:
    """A sentence about a connection that failed with gRPC's message `why`."""
    server = printable(address)
    if "DNS resolution failed" in why:
        host = server.rpartition(":")[0]
        return (f"There is no host named '{host}': its name could not be resolved. Check the server's "
                "address or ATELIER_SERVER.")
    if "is not in peer certificate" in why:
        return (f"The certificate of the server at {server} was issued for another name; use the name "
                "in the certificate.")
    try:
        _open(address).close()
    except OSError:
        return (f"No server answers at {server}. Start one with `atelierd`, or give its address as "
                "HOST:PORT or in ATELIER_SERVER.")
    if _speaks_tls(address):
        return _tls_error(server, address, files)
    protocol = _plain_protocol(address)
    if protocol == "http2" and files.ca:
        return f"The server at {server} does not use TLS: omit tls_ca and ATELIER_TLS_CA."
    if protocol == "http1":
        return (f"The program at {server} is not an Atelier server: it speaks HTTP/1, as atelierd does "
                "only on its port for metrics. Check the address.")
    if protocol != "http2":
        return (f"The program at {server} is not an Atelier server: it does not speak gRPC. Check the "
                "address.")
    return f"The connection to the server at {server} failed: {printable(why)}."

"""The addresses of a server, or of several servers among which calls are balanced.

Thread-safe: functions, and a class whose objects do not change.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from atelier.errors import InvalidArgument, Unavailable, printable

# Calls go to one after the other of the servers that are healthy, and what changes nothing is
# repeated elsewhere if its connection breaks.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "atelier.v1.InferenceService"},
    "methodConfig": [{
        "name": [{"service": "atelier.v1.InferenceService"},
                 {"service": "atelier.v1.ModelService", "method": "ListModels"},
                 {"service": "atelier.v1.ModelService", "method": "GetModel"},
                 {"service": "atelier.v1.DatasetService", "method": "GetDataset"},
                 {"service": "atelier.v1.DatasetService", "method": "GetImages"},
                 {"service": "atelier.v1.MonitoringService"},
                 {"service": "grpc.health.v1.Health", "method": "Check"}],
        "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.05s", "maxBackoff": "1s",
                        "backoffMultiplier": 3, "retryableStatusCodes": ["UNAVAILABLE"]},
    }],
}


@dataclass(frozen=True)
class Addresses:
    """HOST:PORT each, or one that is unix:PATH or dns:HOST:PORT."""

    all: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        """Whether there may be several servers."""
        return len(self.all) > 1 or self.all[0].startswith("dns:")

    def target(self) -> str:
        """What gRPC dials. Names of several addresses are resolved here, once: Unavailable if none leads
        anywhere."""
        if len(self.all) == 1:
            return self.all[0]
        found = [one for address in self.all for one in _resolve(address)]
        if not found:
            raise Unavailable(f"None of the names in {printable(','.join(self.all))} could be resolved. "
                              "Check the server's address or ATELIER_SERVER.")
        if not any(":" in host for host, _ in found):
            return "ipv4:" + ",".join(f"{host}:{port}" for host, port in found)
        # One list has addresses of one kind.
        return "ipv6:" + ",".join(f"[{host if ':' in host else f'::ffff:{host}'}]:{port}"
                                  for host, port in found)

    def channel_options(self) -> list[tuple[str, Any]]:
        """What the channel needs beyond what every channel has."""
        if not self.balanced:
            return []
        options: list[tuple[str, Any]] = [
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            # What is kept of a call to repeat it elsewhere: all of its images.
            ("grpc.per_rpc_retry_buffer_size", 64 << 20)]
        if len(self.all) > 1:
            # All certificates are to hold the first one's name: several addresses share one.
            options.append(("grpc.default_authority", self.all[0]))
        return options


def parse_addresses(text: str) -> Addresses:
    """InvalidArgument unless it is HOST:PORT, several of them with commas between them, unix:PATH or
    dns:HOST:PORT."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Addresses((text,))
    addresses = text.split(",")
    for address in addresses:
        if address.startswith(("dns:", "unix:")) and len(addresses) > 1:
            raise InvalidArgument(f"server: '{printable(address)}' cannot be one of several addresses, "
                                  "which are HOST:PORT each.")
        host, _, port = address.removeprefix("dns:").rpartition(":")
        number = int(port) if port.isascii() and port.isdigit() else 0
        if not host or not 0 < number < 65536 or any(c in " \t\r\n/" for c in address):
            raise InvalidArgument(f"server: '{printable(address)}' is not an address; write HOST:PORT, "
                                  "several with commas between them, or unix:PATH.")
    return Addresses(tuple(addresses))


def _resolve(address: str) -> list[tuple[str, int]]:
    """The numeric hosts, with the port; empty if the name leads nowhere."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [(str(where[0]), int(port)) for _, _, _, _, where in found if "%" not in str(where[0])]

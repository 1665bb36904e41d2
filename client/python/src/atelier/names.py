"""Names as people write them, and as the server does. Thread-safe: pure functions."""

from __future__ import annotations

from atelier.errors import InvalidArgument, printable


def _is_part(text: str) -> bool:
    """Whether the text can be one part of a resource name."""
    return bool(text) and "/" not in text and "@" not in text


def resource_name(kind: str, text: str) -> str:
    """`jobs/x` for `x` and for `jobs/x`, where `kind` is `jobs`. InvalidArgument for anything else."""
    part = text.removeprefix(f"{kind}/")
    if not _is_part(part):
        raise InvalidArgument(f"'{printable(text)}' is not a name in {kind}; write NAME or {kind}/NAME.")
    return f"{kind}/{part}"


def leaf(name: str) -> str:
    """The last part of a resource name: `x` for `jobs/x`."""
    return name.rpartition("/")[2]


def short_version(name: str) -> str:
    """`cnn-3@4` for `models/cnn-3/versions/4`."""
    return name.partition("/")[2].replace("/versions/", "@")


def parse_version(kind: str, text: str) -> tuple[str, str]:
    """The name and its version, a number or an alias, empty for the newest; `kind` is `models`.

    Reads `name`, `name@3`, `name@production`, `models/name` and `models/name/versions/3`.
    """
    separator = "/versions/" if text.startswith(f"{kind}/") else "@"
    name, versioned, version = text.removeprefix(f"{kind}/").partition(separator)
    if not _is_part(name) or (versioned and not _is_part(version)):
        raise InvalidArgument(f"'{printable(text)}' is not a name in {kind}; write NAME or NAME@VERSION.")
    return name, version


def version_name(kind: str, text: str) -> str:
    """The resource name of what parse_version reads."""
    name, version = parse_version(kind, text)
    return f"{kind}/{name}/versions/{version}" if version else f"{kind}/{name}"

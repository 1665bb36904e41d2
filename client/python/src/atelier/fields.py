"""The fields of a training's specification as Python names and writes them.

They are read from the message's own description, so that a field that is added to the protocol can be
trained with, swept and compared without a word here. Thread-safe: pure functions.
"""

from __future__ import annotations

import difflib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from atelier.errors import InvalidArgument, printable
from atelier.v1 import job_pb2

_MOST_JSON_BYTES = 1 << 20  # Of a file; hundreds of layers take a tenth of it.
_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
          "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_INTEGERS = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64,
             FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)


def spec_fields() -> dict[str, FieldDescriptor]:
    """The fields of TrainingSpec by name, in the order of the message."""
    return {field.name: field for field in job_pb2.TrainingSpec.DESCRIPTOR.fields}


def is_list(field: FieldDescriptor) -> bool:
    """Whether the field holds several values."""
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    return field.label == FieldDescriptor.LABEL_REPEATED  # Before protobuf 6.


def enum_words(kind: EnumDescriptor) -> dict[str, int]:
    """The words for the values of an enum: `study` for RECIPE_STUDY. Without the unspecified one."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.name).upper() + "_"
    return {value.name.removeprefix(prefix).lower(): value.number
            for value in kind.values if value.number != 0}


def enum_word(kind: EnumDescriptor, number: int) -> str:
    """The word for a value; empty for the unspecified one, the number for one without a name."""
    if number == 0:
        return ""
    words = {value: word for word, value in enum_words(kind).items()}
    return words.get(number, str(number))


def enum_number(kind: EnumDescriptor, value: Any) -> Any:
    """The value for a word, in any case, or for a value of the generated enum. ValueError."""
    words = enum_words(kind)
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    if isinstance(value, int) and not isinstance(value, bool) and value in words.values():
        return value
    raise ValueError(f"'{printable(str(value))}' is not one of {', '.join(words)}.")


def enum_argument(name: str, value: Any, kind: EnumDescriptor) -> Any:
    """As enum_number; InvalidArgument names the argument."""
    try:
        return enum_number(kind, value)
    except ValueError as error:
        raise InvalidArgument(fields={name: str(error)}) from None


def parse_bytes(text: str) -> int:
    """Bytes: `2GiB`, `512 MiB`, `1.5GB`, `1048576`. ValueError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text, re.ASCII)
    factor = _UNITS.get(found[2].upper()) if found else None
    if not found or factor is None:
        raise ValueError(f"'{printable(text)}' is not a size like 2GiB or a number of bytes.")
    return round(float(found[1]) * factor) if "." in found[1] else int(found[1]) * factor


def _is_real(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, (bool, str)) \
        and type(value).__name__ not in ("bool_", "bool", "ndarray")


def _scalar(field: FieldDescriptor, value: Any) -> Any:
    """The value as the field takes it; ValueError says of what kind it has to be."""
    shown = printable(str(value))[:80]
    kind = type(value).__name__
    if field.enum_type is not None:
        return enum_number(field.enum_type, value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if not isinstance(value, str):
            raise ValueError(f"{shown} is not a text.")
        return value
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool) and kind not in ("bool_", "bool"):
            raise ValueError(f"'{shown}' is not True or False.")
        return bool(value)
    if field.cpp_type in _INTEGERS:
        if field.name.endswith("_bytes") and isinstance(value, str):
            return parse_bytes(value)
        if not _is_real(value) or not hasattr(value, "__index__"):
            raise ValueError(f"'{shown}' is not a whole number.")
        return value.__index__()
    if field.cpp_type in _FLOATS:
        if not _is_real(value):
            raise ValueError(f"'{shown}' is not a number.")
        return float(value)
    raise ValueError("fields of this kind cannot be set here.")


def _set_message(target: Message, value: Any) -> None:
    """From a message of the kind, protobuf JSON as a dict, or a file of it. ValueError."""
    if isinstance(value, type(target)):
        target.CopyFrom(value)
        return
    if isinstance(value, (str, os.PathLike)):
        value = _read_json(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"'{printable(str(value))[:80]}' is neither a dict, nor the path of a JSON "
                         f"file, nor a {target.DESCRIPTOR.name} message.")
    try:
        json_format.ParseDict(dict(value), target)
    except json_format.ParseError as error:
        raise ValueError(f"it is no {target.DESCRIPTOR.name.lower()}: {printable(str(error))}") from None


def _read_json(given: str | os.PathLike[str]) -> Any:
    path = pathlib.Path(given)
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_JSON_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{printable(str(path))} cannot be read: {error.strerror}.") from None
    if len(text) > _MOST_JSON_BYTES:
        raise ValueError(f"{printable(str(path))} has more than 1 MiB.")
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{printable(str(path))} is no JSON file: {error}.") from None


def _items(value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise ValueError(f"'{printable(str(value))[:80]}' is not a list like [32, 64].")
    return list(value)


def set_field(message: Message, field: FieldDescriptor, value: Any) -> None:
    """Sets a field. InvalidArgument naming it."""
    try:
        if is_list(field):
            del getattr(message, field.name)[:]
            getattr(message, field.name).extend(_scalar(field, item) for item in _items(value))
        elif field.message_type is not None:
            _set_message(getattr(message, field.name), value)
        else:
            setattr(message, field.name, _scalar(field, value))
    except (ValueError, TypeError) as error:
        raise InvalidArgument(fields={field.name: str(error)}) from None


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """InvalidArgument for names that are not known, each with the name that is most alike."""
    known = list(known)
    wrong = {}
    for name in names:
        if name not in known:
            alike = difflib.get_close_matches(name, known, 1)
            wrong[name] = "there is no such field" + \
                (f"; did you mean {alike[0]}?" if alike else f"; the fields are {', '.join(known)}.")
    if wrong:
        raise InvalidArgument(fields=wrong)


def set_fields(message: Message, values: Mapping[str, Any], others: Iterable[str] = ()) -> None:
    """Sets fields by name; None leaves one to its default. InvalidArgument names all wrong ones.

    `others` are names that the caller takes besides, for suggestions.
    """
    fields = message.DESCRIPTOR.fields_by_name
    check_names(values, [*fields, *others])
    wrong: dict[str, str] = {}
    for name, value in values.items():
        if value is None:
            continue
        try:
            set_field(message, fields[name], value)
        except InvalidArgument as error:
            wrong.update(error.fields)
    if wrong:
        raise InvalidArgument(fields=wrong)


def network_title(spec: job_pb2.TrainingSpec) -> str:
    """What the network is called: its preset, else the name of its layers, else `network`."""
    return spec.preset or spec.network.name or "network"


def value_text(message: Message, field: FieldDescriptor) -> str:
    """A field's value for people; empty if it is absent, or zero where that means the same."""
    value = getattr(message, field.name)
    if is_list(field):
        return ",".join(map(str, value))
    if not message.HasField(field.name) if field.has_presence else not value:
        return ""
    if isinstance(message, job_pb2.TrainingSpec) and field.name == "network":
        # A preset, or a preset with changes, is told by the other fields.
        return "" if message.preset or message.conv else network_title(message)
    return enum_word(field.enum_type, value) if field.enum_type is not None else str(value)

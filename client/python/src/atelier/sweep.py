"""The configurations of a sweep: fields with lists of values become a grid. Pure functions."""

from __future__ import annotations

import math
import random as random_numbers
import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from atelier.errors import InvalidArgument, argument_of
from atelier.fields import check_names, is_list, set_field, spec_fields, value_text
from atelier.v1 import experiment_service_pb2, job_pb2

_MOST_RUNS = 1000  # The server's limit.


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) \
        and not hasattr(value, "DESCRIPTOR")


def _axis(field: FieldDescriptor, value: Any) -> list[Any]:
    """The values of a field: of one that holds lists, [32, 64] is one and [[32], [32, 64]] are two."""
    if not _is_sequence(value):
        return [value]
    values = list(value)
    if is_list(field) and not any(map(_is_sequence, values)):
        return [values]
    if not values:
        raise InvalidArgument(fields={field.name: "the list is empty."})
    return values


def _check_values(field: FieldDescriptor, values: list[Any]) -> None:
    """InvalidArgument for a wrong value, and for one that stands there twice."""
    seen = set()
    for value in values:
        spec = job_pb2.TrainingSpec()
        set_field(spec, field, value)
        key = spec.SerializeToString(deterministic=True)
        if key in seen:
            raise InvalidArgument(fields={field.name: f"{value!r} is given twice; give each value once."})
        seen.add(key)


def _axes(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    check_names(values, [*spec_fields(), "seeds", "random", "name"])
    axes: dict[str, list[Any]] = {}
    wrong: dict[str, str] = {}
    for name, field in spec_fields().items():
        if values.get(name) is None:
            continue
        try:
            if name == "seed":
                raise InvalidArgument(fields={name: "a sweep takes seeds: a number of them or a list."})
            axes[name] = _axis(field, values[name])
            _check_values(field, axes[name])
        except InvalidArgument as error:
            wrong.update(error.fields)
    if wrong:
        raise InvalidArgument(fields=wrong)
    return axes


def make_seeds(seeds: int | Iterable[int] | None) -> list[int]:
    """5 are the seeds 1 to 5; a list stays as it is; None leaves one to the server."""
    if seeds is None:
        return []
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if not 1 <= seeds <= _MOST_RUNS:
            raise InvalidArgument(fields={"seeds": f"{seeds} is not from 1 to {_MOST_RUNS}."})
        return list(range(1, seeds + 1))
    try:
        return [seed.__index__() for seed in seeds]  # type: ignore[union-attr]
    except (TypeError, AttributeError):
        raise InvalidArgument(fields={"seeds": "give a number of seeds, or a list of them."}) from None


def make_sweep(values: Mapping[str, Any], seeds: int | Iterable[int] | None, random: int | None,
               name: str, request_id: str) -> experiment_service_pb2.StartExperimentRequest:
    """Every combination of the values, or `random` of them, drawn by the first seed.

    The first field's values change slowest. InvalidArgument names what is wrong, also if there are
    more runs than the server takes.
    """
    axes = _axes(values)
    request = experiment_service_pb2.StartExperimentRequest(
        base_name=name, seeds=make_seeds(seeds), request_id=request_id)
    size = math.prod(map(len, axes.values()))
    if random is not None and random < 1:
        raise InvalidArgument(fields={"random": f"{random} is less than 1."})
    count = size if random is None else min(size, random)
    if count * max(1, len(request.seeds)) > _MOST_RUNS:
        raise InvalidArgument(
            f"These lists make {count:,} configurations with {max(1, len(request.seeds))} seeds each; "
            f"an experiment has at most {_MOST_RUNS:,} runs. Shorten the lists, or draw some "
            "configurations with random=N.")
    drawn: Iterable[int] = range(size)
    if count < size:
        generator = random_numbers.Random(request.seeds[0] if request.seeds else 1)
        drawn = sorted(generator.sample(range(size), count))
    for place in drawn:
        _add(request.configurations.add(), axes, place)
    return request


def _add(spec: job_pb2.TrainingSpec, axes: Mapping[str, list[Any]], place: int) -> None:
    """Fills in the combination at a place of the grid."""
    for name, values in reversed(list(axes.items())):
        place, index = divmod(place, len(values))
        set_field(spec, spec_fields()[name], values[index])


def name_field(request: experiment_service_pb2.StartExperimentRequest, field: str) -> str:
    """A wrong field of a configuration, with its value: `epochs=0`."""
    found = re.fullmatch(r"configurations\[(\d+)\]\.(\w+)(.*)", field)
    if not found or int(found[1]) >= len(request.configurations):
        return argument_of(field)
    described = spec_fields().get(found[2])
    if described is None:
        return found[2]
    text = value_text(request.configurations[int(found[1])], described)
    return f"{found[2]}={text}{found[3]}" if text else found[2] + found[3]

"""A cluster for the tests of a session; each leaves its nodes idle."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
sys.path.insert(0, os.path.dirname(__file__))

import slurm_cluster  # noqa: E402


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    reason = slurm_cluster.why_not()
    if reason:
        pytest.skip(reason)
    with slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm") / "run") as cluster:
        yield cluster

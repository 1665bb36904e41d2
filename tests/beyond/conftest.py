"""A cluster and an object store for the tests of a session; each leaves the nodes idle."""

import os
import pathlib
import sys

import pytest

for sibling in ("faults", "integration"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / sibling))
sys.path.insert(0, os.path.dirname(__file__))

import campaign  # noqa: E402
import kubernetes_cluster  # noqa: E402
import recovery  # noqa: E402
import s3_store  # noqa: E402
import slurm_cluster  # noqa: E402


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, small_dataset):
    """What the job of a campaign comes to when nobody interferes."""
    return recovery.calm_run(tmp_path_factory.mktemp("calm"), small_dataset, campaign.SPEC)


@pytest.fixture(scope="module")
def undisturbed_pair(tmp_path_factory, small_dataset):
    """What the job for two nodes comes to on one machine."""
    return recovery.calm_run(tmp_path_factory.mktemp("one"), small_dataset, campaign.NODES_SPEC)


@pytest.fixture(scope="module")
def undisturbed_copied(tmp_path_factory, small_dataset):
    """What the job for workers that copy comes to."""
    return recovery.calm_run(tmp_path_factory.mktemp("copied"), small_dataset, campaign.COPIES_SPEC)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    reason = slurm_cluster.why_not()
    if reason:
        pytest.skip(reason)
    with slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm") / "run") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory):
    reason = kubernetes_cluster.why_not()
    if reason:
        pytest.skip(reason)
    cluster = kubernetes_cluster.Cluster(tmp_path_factory.mktemp("kubernetes") / "run")
    try:
        cluster.__enter__()
    except (AssertionError, OSError) as error:
        # Not every machine lets its containers make namespaces and control groups.
        pytest.skip(f"SKIPPED Kubernetes: no cluster starts on this machine: {error}")
    yield cluster
    cluster.__exit__()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    program, reason = s3_store.program()
    if reason:
        pytest.skip(reason)
    with s3_store.Store(program, tmp_path_factory.mktemp("s3") / "store", s3_store.free_ports()) as store:
        yield store

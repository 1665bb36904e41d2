"""What the fault tests compare with, trained once for all of them."""

import pytest

import recovery


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, small_dataset):
    """What SPEC comes to when nobody interferes."""
    return recovery.calm_run(tmp_path_factory.mktemp("calm"), small_dataset, recovery.SPEC)


@pytest.fixture(scope="session")
def long_undisturbed(tmp_path_factory, small_dataset):
    """What LONG_SPEC comes to when nobody interferes."""
    return recovery.calm_run(tmp_path_factory.mktemp("calm-long"), small_dataset, recovery.LONG_SPEC)

"""Fixtures of the integration and fault tests: the real programs, on free ports, in fresh folders."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import harness  # noqa: E402


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory):
    """2,000 training and 500 test images of Fashion-MNIST as a data set folder."""
    return harness.make_subset(tmp_path_factory.mktemp("small"), training=2000, test=500)


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def server(data_dir, small_dataset):
    """A running server with the data sets `small` and `fashion-mnist`."""
    with harness.Server(data_dir, datasets={"small": small_dataset}) as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory, small_dataset):
    """One server for all tests of a module that leave it as they found it."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    with harness.Server(folder, datasets={"small": small_dataset}) as running:
        yield running

"""Tests of what Atelier is deployed and watched with. Those marked `slow` build packages and whole
Debian systems; they run when ATELIER_SLOW_TESTS=1."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes minutes; runs with ATELIER_SLOW_TESTS=1")


def pytest_collection_modifyitems(items):
    if os.environ.get("ATELIER_SLOW_TESTS") == "1":
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="takes minutes; set ATELIER_SLOW_TESTS=1"))

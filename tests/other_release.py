#!/usr/bin/python3
"""Builds and tests Atelier on the other Debian release: 12 where this machine has 13, 13 elsewhere.

  tests/other_release.py        release build, unit tests, a first job from training to classification
  tests/other_release.py --all  also the integration and fault tests

The system is made by mmdebstrap from the mirror that this machine's apt uses, and kept with its
compiler cache in $XDG_CACHE_HOME/atelier (~/.cache/atelier): made anew every week, and when the list
of packages changes. Needs root; needs no systemd."""

import datetime
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "deploy"))

import debian_root  # noqa: E402

RELEASE = "12" if debian_root.HOST == "13" else "13"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
FOLDER = CACHE / "atelier" / f"debian-{RELEASE}"
STARTED = time.monotonic()

# The checkout with a build folder of its own, at the same place in every run, so that the compiler
# cache knows the files again.
MOUNTS = [(ROOT, "/atelier"), (ROOT / "build" / f"debian-{RELEASE}", "/atelier/build"),
          (FOLDER / "ccache", "/ccache")]
ENVIRONMENT = {"CCACHE_DIR": "/ccache", "CCACHE_MAXSIZE": "5G", "PYTHONDONTWRITEBYTECODE": "1",
               "STATE_DIRECTORY": "/tmp/data", "PYTEST_ADDOPTS": "-p no:cacheprovider"}

BUILD = """
{ cmake --preset release && cmake --build --preset release -j "$(nproc)"; } >build/release.log 2>&1 ||
  { tail -n 60 build/release.log; exit 1; }
"""
UNIT_TESTS = 'ctest --test-dir build/release --output-on-failure -j "$(nproc)" --timeout 300'
REAL_PROGRAMS = "/usr/bin/python3 -m pytest -q -rs tests/integration tests/faults tests/beyond"


def say(text):
    print(f"\n== Debian {RELEASE}: {text} ({time.monotonic() - STARTED:.0f} s since the start)", flush=True)


def system():
    """The system with what building needs: the one of an earlier run if it is complete, else a new one."""
    packages = subprocess.check_output([ROOT / "deploy" / "install-deps.sh", "--list"], text=True)
    wanted = datetime.date.today().strftime("%G, week %V\n") + packages
    complete = FOLDER / "complete"
    path = FOLDER / "root"
    if not complete.exists() or complete.read_text() != wanted:
        complete.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
    root = debian_root.DebianRoot(path, RELEASE)
    run(root, "deploy/install-deps.sh >build/packages.log 2>&1 || { tail -n 40 build/packages.log; exit 1; }")
    complete.write_text(wanted)
    return root


def run(root, script, timeout=3600):
    try:
        root.shell(f"cd /atelier\n{script}", mounts=MOUNTS, environment=ENVIRONMENT, timeout=timeout,
                   output=sys.stdout)
    except (AssertionError, subprocess.TimeoutExpired):
        sys.exit(f"other_release.py: failed on Debian {RELEASE}; what it said is above, its logs are in "
                 f"build/debian-{RELEASE}")


def first_job(root):
    server = "build/release/bin/atelierd --data_dir=$STATE_DIRECTORY"
    job = debian_root.MAIN_JOB.format(server=server)
    run(root, f'export PATH="$PWD/build/release/bin:$PATH"\n{job}')


def main(arguments):
    if arguments not in ([], ["--all"]):
        sys.exit(f"other_release.py: unknown arguments {arguments}; it takes --all")
    if debian_root.missing():
        sys.exit(f"other_release.py: {debian_root.missing()}")
    for source, _ in MOUNTS:
        source.mkdir(parents=True, exist_ok=True)
    lock = open(FOLDER / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    say("packages")
    root = system()
    run(root, "find /tmp -mindepth 1 -delete")
    say("release build")
    run(root, BUILD)
    say("unit tests")
    run(root, UNIT_TESTS)
    say("a first job, from training to classification")
    first_job(root)
    if arguments:
        say("integration and fault tests: the real programs")
        run(root, f"deploy/install-deps.sh --tests >>build/packages.log 2>&1\n{REAL_PROGRAMS}", 7200)
    say("all passed")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except AssertionError as error:
        sys.exit(f"other_release.py: no system of Debian {RELEASE} could be made: {error}")

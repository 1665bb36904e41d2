"""tests/other_release.py: fails where it cannot do its work, and takes the mirror that the host has."""

import subprocess

import debian_root
import deployment

SCRIPT = deployment.ROOT / "tests" / "other_release.py"


def test_it_fails_where_no_system_can_be_made_and_says_what_is_missing():
    finished = subprocess.run(["/usr/bin/python3", str(SCRIPT)], capture_output=True, text=True,
                              env={"PATH": "/nowhere", "HOME": "/nowhere"})
    assert finished.returncode == 1
    assert "run deploy/install-deps.sh" in finished.stderr or "needs root" in finished.stderr


def test_it_takes_the_hosts_mirror_and_security_updates(monkeypatch):
    listed = ("http://mirror.invalid/debian/ bookworm main\n"
              "http://mirror.invalid/debian/ bookworm contrib\n"
              "http://mirror.invalid/security/ bookworm-security main\n"
              "http://others.invalid/apt/ nodistro main\n")
    monkeypatch.setattr(deployment, "run", lambda *command: listed)
    monkeypatch.setattr(debian_root, "HOST", "12")
    assert debian_root.sources("13") == ["deb http://mirror.invalid/debian/ trixie main",
                                         "deb http://mirror.invalid/security/ trixie-security main"]


def test_elsewhere_mmdebstrap_chooses(monkeypatch):
    monkeypatch.setattr(deployment, "run", lambda *command: "http://ubuntu.invalid/ noble main\n")
    monkeypatch.setattr(debian_root, "HOST", "24.04")
    assert debian_root.sources("13") == []


def test_the_gate_runs_it():
    assert "tests/other_release.py" in (deployment.ROOT / ".ci" / "run").read_text()

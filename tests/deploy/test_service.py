"""The systemd unit, its flags, user and data directory."""

import configparser
import re
import subprocess

import pytest

import deployment

UNIT = deployment.DEPLOY / "systemd" / "atelierd.service"
FLAGS = deployment.DEPLOY / "etc" / "atelierd.flags"


@pytest.fixture
def settings():
    """The unit's [Service]; a setting that is given more than once keeps its last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser["Service"]


def verify(tool, tmp_path, program):
    copy = tmp_path / "atelierd.service"
    text = UNIT.read_text().replace("/usr/sbin/atelierd", str(program))
    copy.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M))
    return subprocess.run([tool, "verify", str(copy)], capture_output=True, text=True)


def test_systemd_accepts_it(tmp_path):
    tool = deployment.tool("systemd-analyze")
    finished = verify(tool, tmp_path, "/bin/true")
    assert finished.returncode == 0 and not finished.stderr, finished.stderr
    assert verify(tool, tmp_path, "/no/such/program").returncode != 0


def test_it_is_confined():
    tool = deployment.tool("systemd-analyze")
    deployment.run(tool, "security", "--offline=true", "--threshold=20", UNIT)


def test_workers_outlive_the_server(settings):
    assert settings["KillMode"] == "process"
    assert settings["Restart"] == "on-failure"
    # Each of these would end workers, or take something from them, when the server ends.
    for harmful in ("PrivateTmp", "RemoveIPC", "MemoryDenyWriteExecute", "RuntimeDirectory"):
        assert harmful not in settings


def test_it_may_write_where_its_flags_say(settings):
    flags = deployment.flag_values(active_flags())
    assert settings["ExecStart"] == "/usr/sbin/atelierd --flagfile=/etc/atelier/atelierd.flags"
    assert flags["data_dir"] == f"/var/lib/{settings['StateDirectory']}"
    sysusers = (deployment.DEPLOY / "systemd" / "atelier.sysusers").read_text()
    assert re.search(rf"^u {settings['User']} ", sysusers, re.M)
    tmpfiles = (deployment.DEPLOY / "systemd" / "atelier.tmpfiles").read_text()
    assert f"d {flags['data_dir']} {settings['StateDirectoryMode']} atelier atelier -" in tmpfiles


def active_flags():
    return [l for l in FLAGS.read_text().splitlines() if l.startswith("--")]


def test_the_default_flags_are_known_also_the_suggested_ones():
    suggested = re.findall(r"^#(--\S+)", FLAGS.read_text(), re.M)
    assert suggested
    deployment.assert_known_flags([*active_flags(), *suggested])


def test_by_default_only_this_machine_is_served():
    flags = deployment.flag_values(active_flags())
    assert flags["listen"].startswith("127.0.0.1:")
    assert flags["metrics_listen"].startswith("127.0.0.1:")

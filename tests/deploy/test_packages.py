"""The Debian packages: built from the release build, looked into, and installed into a plain Debian
system, where the main job runs."""

import os
import platform
import shutil

import pytest

import debian_root
import deployment

SCRIPTS = sorted((deployment.DEPLOY / "debian" / "server").glob("p*"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_maintainer_scripts_are_sound(path):
    deployment.run(deployment.tool("shellcheck"), "-s", "sh", path)
    assert path.stat().st_mode & 0o777 == 0o755


def test_the_configuration_is_a_conffile():
    conffiles = (deployment.DEPLOY / "debian" / "server" / "conffiles").read_text().split()
    assert conffiles == ["/etc/atelier/atelierd.flags"]


def test_the_changelog_names_the_version():
    first = (deployment.DEPLOY / "debian" / "changelog").read_text().splitlines()[0]
    assert first.startswith(f"atelier ({deployment.project_version()}-1) ")


def make_packages(build, folder):
    """The two packages by name, made from a release build."""
    config = build / "CPackConfig.cmake"
    if not config.exists():
        pytest.skip(f"{config} is not there: build the preset `release` first")
    deployment.run("cpack", "--config", config, "-B", folder, timeout=600)
    return {p.name.partition("_")[0]: p for p in folder.glob("*.deb")}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return make_packages(deployment.BIN.parent, tmp_path_factory.mktemp("packages"))


@pytest.mark.slow
def test_built_twice_they_are_the_same_bytes(packages, tmp_path):
    """The second time from another folder, without the compiler cache."""
    sources = tmp_path / "elsewhere"
    deployment.run("git", "clone", "--quiet", deployment.ROOT, sources)
    for step in (["--preset", "release"], ["--build", "--preset", "release", "--target", "atelierd",
                 "atelier-worker", "atelier", "atelier_torch", "atelier_documents"]):
        deployment.run("cmake", *step, cwd=sources, timeout=3600, env={**os.environ, "CCACHE_DISABLE": "1"})
    again = make_packages(sources / "build" / "release", tmp_path / "packages")
    for name, package in packages.items():
        assert again[name].read_bytes() == package.read_bytes(), name


def field(package, name):
    return deployment.run("dpkg-deb", "--field", package, name).strip()


def contents(package):
    lines = deployment.run("dpkg-deb", "--contents", package).splitlines()
    return {line.split()[5].removeprefix("."): line.split()[:2] for line in lines}


@pytest.mark.slow
def test_there_are_two_and_the_client_needs_no_libtorch(packages):
    assert set(packages) == {"atelier-server", "atelier-client"}
    assert "libtorch" in field(packages["atelier-server"], "Depends")
    depends = field(packages["atelier-client"], "Depends")
    assert "libgrpc++" in depends and "torch" not in depends


@pytest.mark.slow
def test_the_server_demands_mended_decoders(packages):
    """What they decode comes from strangers, and their holes were in what the server uses."""
    mended = {"bookworm": {"libpng16-16 (>= 1.6.39-2+deb12u6)", "libwebp7 (>= 1.2.4-0.2+deb12u1)"},
              "trixie": {"libpng16-16t64 (>= 1.6.48-1+deb13u6)", "libwebp7 (>= 1.3.2)"}}
    release = platform.freedesktop_os_release().get("VERSION_CODENAME")
    if release not in mended:
        pytest.skip(f"nothing is known of the decoders in {release}")
    assert mended[release] <= set(field(packages["atelier-server"], "Depends").split(", "))


@pytest.mark.slow
def test_everything_is_in_its_place(packages):
    server, client = contents(packages["atelier-server"]), contents(packages["atelier-client"])
    for path in ("/usr/sbin/atelierd", "/usr/sbin/atelier-worker",
                 "/usr/lib/atelier/libatelier_torch.so", "/etc/atelier/atelierd.flags",
                 "/usr/lib/systemd/system/atelierd.service", "/usr/lib/sysusers.d/atelier.conf",
                 "/usr/lib/tmpfiles.d/atelier.conf", "/usr/share/man/man8/atelierd.8.gz",
                 "/usr/share/man/man8/atelier-worker.8.gz"):
        assert server[path][1] == "root/root", path
    for path in ("/usr/bin/atelier", "/usr/share/man/man1/atelier.1.gz",
                 "/usr/share/bash-completion/completions/atelier",
                 "/usr/share/zsh/vendor-completions/_atelier"):
        assert client[path][1] == "root/root", path
    assert not set(p for p in server if not p.endswith("/")) & set(client)


@pytest.mark.slow
def test_lintian_finds_nothing_wrong(packages):
    # Nobody asked Debian for the package, so its changelog closes no bug.
    deployment.run(deployment.tool("lintian"), "--allow-root", "--fail-on=error,warning",
                   "--suppress-tags=initial-upload-closes-no-bugs", *packages.values(), timeout=300)


def install(root, *debs, extra=""):
    inside = root.path / "packages"
    inside.mkdir(exist_ok=True)
    for deb in debs:
        shutil.copy(deb, inside)
    names = " ".join(f"/packages/{deb.name}" for deb in debs)
    root.shell(f"apt-get update -q && apt-get install -y -q --no-install-recommends {extra} {names}",
               timeout=1800)


@pytest.fixture(scope="module")
def machine(packages, tmp_path_factory):
    """A Debian system with both packages installed."""
    debian_root.require()
    root = debian_root.DebianRoot(tmp_path_factory.mktemp("machine") / "root", debian_root.HOST)
    install(root, packages["atelier-server"], packages["atelier-client"],
            extra="systemd-standalone-sysusers dataset-fashion-mnist")
    return root


@pytest.mark.slow
def test_installed_in_a_plain_system_it_runs_the_main_job(machine):
    uid, gid = machine.shell("id -u atelier; id -g atelier").split()
    assert machine.shell("stat -c '%U %G %a' /var/lib/atelier").split() == ["atelier", "atelier", "750"]
    server = "/usr/sbin/atelierd --flagfile=/etc/atelier/atelierd.flags"
    machine.shell(debian_root.MAIN_JOB.format(server=server), user=f"{uid}:{gid}", timeout=900)


@pytest.mark.slow
def test_a_changed_configuration_and_the_data_survive_upgrade_and_removal(machine, packages):
    machine.shell("echo '#mine' >> /etc/atelier/atelierd.flags; echo kept > /var/lib/atelier/kept")
    machine.shell(f"dpkg --force-confold -i /packages/{packages['atelier-server'].name}")
    assert "#mine" in machine.shell("cat /etc/atelier/atelierd.flags")
    machine.shell("dpkg --remove atelier-server; test -e /etc/atelier/atelierd.flags")
    machine.shell("dpkg --purge atelier-server")
    assert machine.shell("cat /var/lib/atelier/kept").strip() == "kept"
    machine.shell("test ! -e /etc/atelier")


@pytest.mark.slow
def test_the_client_alone_installs_and_runs_without_libtorch(packages, tmp_path):
    debian_root.require()
    root = debian_root.DebianRoot(tmp_path / "root", debian_root.HOST)
    install(root, packages["atelier-client"])
    assert "atelier" in root.shell("atelier --help")
    listed = root.shell("dpkg-query -W -f '${Package}\\n'")
    assert "libgrpc++1.51" in listed and "torch" not in listed
    libraries = root.shell("ldd /usr/bin/atelier")
    assert "not found" not in libraries and "torch" not in libraries
    # Nobody listens there: the client runs and says so, with its own exit code.
    root.shell("atelier --server=127.0.0.1:1 health || test $? = 1")
    with pytest.raises(AssertionError):
        root.shell("atelier --server=127.0.0.1:1 health")

"""deploy/Dockerfile: two stages, the last one small and without privilege. The slow test runs its
steps in a plain Debian system, as a container engine would."""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import urllib.parse

import pytest

import debian_root
import deployment
import dockerfile

PATH = deployment.DEPLOY / "Dockerfile"
IMAGE = f"debian:{debian_root.NEWEST}-slim"
STAGES = dockerfile.read_stages(PATH)
FINAL = STAGES[-1][2]


def only(name):
    found, = [i for i in FINAL if i.name == name]
    return found


def ignored(path):
    """Whether .dockerignore leaves a path of the tree out."""
    patterns = (deployment.ROOT / ".dockerignore").read_text().splitlines()
    parts = pathlib.PurePath(path).parts
    for pattern in patterns:
        if not pattern or pattern.startswith("#"):
            continue
        if pattern.startswith("**/"):
            if any(fnmatch.fnmatch(part, pattern[3:]) for part in parts):
                return True
        elif any(fnmatch.fnmatch("/".join(parts[:n + 1]), pattern) for n in range(len(parts))):
            return True
    return False


def test_it_builds_in_one_stage_and_runs_in_another():
    assert [base for base, _, _ in STAGES] == [IMAGE, IMAGE]
    assert STAGES[0][1] == "build"
    assert not any("install-deps.sh" in i.text or i.name == "COPY" for i in FINAL)


def test_it_runs_without_privilege():
    user = only("USER").text
    assert user == "10001:10001", "Kubernetes knows only numbers"
    last_run = max(n for n, i in enumerate(FINAL) if i.name == "RUN")
    assert FINAL.index(only("USER")) > last_run


def test_the_client_checks_its_health():
    health = only("HEALTHCHECK")
    assert health.text.endswith('CMD ["atelier", "health"]')
    assert "health" in deployment.help_text("atelier")


def test_it_starts_the_server_with_flags_it_knows():
    assert only("ENTRYPOINT").words == ["atelierd"]
    deployment.assert_known_flags(only("CMD").words)
    assert deployment.flag_values(only("CMD").words)["data_dir"] == only("VOLUME").text


def test_what_it_copies_is_in_the_context():
    for instruction in STAGES[0][2]:
        if instruction.name == "COPY":
            for source in instruction.words[:-1]:
                assert (deployment.ROOT / source).exists(), source
                assert source == "." or not ignored(source), source


def test_the_context_has_what_the_build_needs_and_no_build():
    for needed in ("CMakeLists.txt", "CMakePresets.json", "deploy/CMakeLists.txt", "models", "server",
                   "client", "proto", "deploy/etc", "deploy/man", "deploy/debian", "deploy/completions",
                   "deploy/systemd", "deploy/install-deps.sh"):
        assert not ignored(needed), needed
    for kept_out in ("build/release/bin/atelierd", ".git/config", "tests/harness.py"):
        assert ignored(kept_out), kept_out


def test_the_version_is_the_projects():
    version = deployment.project_version()
    compose = deployment.load_yaml(deployment.ROOT / "docker-compose.yml")
    assert compose["services"]["atelierd"]["image"] == f"atelier:{version}"
    assert f"atelier:{version}" in PATH.read_text()


def read_sbom(text):
    """The versions by package of a bill of materials, whose form is checked."""
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    for component in bill["components"]:
        assert component["type"] == "library"
        assert re.fullmatch(r"pkg:deb/debian/[a-z0-9.+-]+@[^@:+?]+\?arch=\w+&distro=debian-\d+", component["purl"])
        assert urllib.parse.unquote(component["purl"].partition("@")[2].partition("?")[0]) == component["version"]
    return {c["name"]: c["version"] for c in bill["components"]}


def test_the_bill_of_materials_lists_every_package():
    script = deployment.DEPLOY / "sbom.sh"
    deployment.run(deployment.tool("shellcheck"), script)
    listed = deployment.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n")
    installed = dict(line.split()[1:] for line in listed.splitlines() if line.startswith("installed "))
    assert read_sbom(deployment.run(script)) == installed


class Engine:
    """As much of a container engine as the Dockerfile asks for."""

    def __init__(self, folder):
        self.folder = folder
        self.roots = {}

    def build(self, stages):
        """Runs every stage; returns the last one's root and its settings."""
        for number, (base, name, instructions) in enumerate(stages):
            assert base == IMAGE
            root = debian_root.DebianRoot(self.folder / (name or str(number)))
            self.roots[name] = root
            settings = {"WORKDIR": "/", "USER": "0:0"}
            for instruction in instructions:
                self.step(root, settings, instruction)
        return root, settings

    def step(self, root, settings, instruction):
        if instruction.name == "RUN":
            self.run(root, settings, instruction)
        elif instruction.name == "COPY":
            *sources, target = instruction.words
            folder = root.path / os.path.join(settings["WORKDIR"], target).lstrip("/")
            for source in sources:
                copy_context(source, folder)
        elif instruction.name in ("WORKDIR", "USER"):
            settings[instruction.name] = instruction.text
            if instruction.name == "WORKDIR":
                (root.path / instruction.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif instruction.name in ("ENTRYPOINT", "CMD"):
            settings[instruction.name] = instruction.words
        else:
            assert instruction.name in ("VOLUME", "EXPOSE", "HEALTHCHECK"), instruction

    def run(self, root, settings, instruction):
        mounts = []
        if "mount" in instruction.options:
            mount = dict(f.split("=") for f in instruction.options["mount"].split(","))
            assert mount["type"] == "bind"
            mounts.append((self.roots[mount["from"]].path / mount["source"].lstrip("/"),
                           mount["target"]))
        root.shell(f"cd {settings['WORKDIR']} && {instruction.text}", user=settings["USER"],
                   mounts=mounts, timeout=5400)


def copy_context(source, target):
    """COPY of the context, less what .dockerignore leaves out."""
    origin = deployment.ROOT / source
    if origin.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(origin, target)
        return

    def leave_out(folder, names):
        relative = pathlib.Path(folder).relative_to(deployment.ROOT)
        return [n for n in names if ignored(relative / n)]

    shutil.copytree(origin, target, ignore=leave_out, dirs_exist_ok=True, symlinks=True)


@pytest.mark.slow
def test_its_steps_make_an_image_that_runs_the_main_job(tmp_path):
    debian_root.require()
    root, settings = Engine(tmp_path).build(STAGES)
    packages = read_sbom((root.path / "usr/share/atelier/sbom.cdx.json").read_text())
    assert packages["atelier-server"].startswith(deployment.project_version()) and "libpng16-16t64" in packages
    assert not root.has("cmake") and not root.has("g++"), "the build stage's programs came along"
    owner = root.shell(f"stat -c %u:%g {only('VOLUME').text}").strip()
    assert owner == settings["USER"]
    server = " ".join([*settings["ENTRYPOINT"], *settings["CMD"]])
    root.shell(debian_root.MAIN_JOB.format(server=server), user=settings["USER"], timeout=900)

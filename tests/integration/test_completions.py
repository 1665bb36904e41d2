"""Completion in bash and zsh, asked as a person asks it: with the Tab key."""

import os
import pty
import re
import select
import shutil
import subprocess

import pytest

import harness

FOLDER = harness.ROOT / "deploy" / "completions"
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"],
             f"PS1=; bind 'set show-all-if-ambiguous on' 'set page-completions off' "
             f"'set completion-query-items 0'; source {FOLDER}/atelier.bash"),
    "zsh": (["zsh", "-f", "-i"],
            f"PS1=; LISTMAX=1000; fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -D"),
}


class Shell:
    def __init__(self, name, server):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
        command, setup = SHELLS[name]
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "PATH": f"{harness.BIN}:{os.environ['PATH']}",
                 "ATELIER_SERVER": server.address})
        os.close(slave)
        self.seen = ""
        # Written in two halves, so that the echo of the command is not taken for its output.
        self.type(setup + "; echo all' 'set\n")
        self.wait_for("all set")
        self.seen = ""

    def type(self, keys):
        os.write(self.master, keys.encode())

    def wait_for(self, text):
        def found():
            while select.select([self.master], [], [], 0)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            return text in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)
        harness.wait_for(found, 20, f"{text!r} in {self.seen!r}")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture(params=SHELLS)
def shell(request, shared_server):
    shell = Shell(request.param, shared_server)
    yield shell
    shell.close()


@pytest.mark.parametrize("typed, expected", [
    ("atelier tra", "atelier train"),
    ("atelier train --pres", "--preset"),
    ("atelier train --preset cnn-3-p", "cnn-3-pooled"),
    ("atelier train --preset=cnn-3-p", "cnn-3-pooled"),
    ("atelier --output=js", "--output=json"),
    ("atelier train --tls-", "--tls-cert"),
    ("atelier classify --invert a", "--invert auto"),
    ("atelier feat", "atelier features"),
    ("atelier filters --la", "--layer"),
    ("atelier explain --method occ", "--method occlusion"),
    ("atelier bench cla", "atelier bench classify"),
    ("atelier bench classify --max-", "--max-in-flight"),
    ("atelier admin tok", "atelier admin token"),
    ("atelier admin token add alice --ro", "--role"),
    ("atelier admin token add --role vie", "--role viewer"),
])
def test_words_are_completed(shell, typed, expected):
    shell.type(typed + "\t\t")
    shell.wait_for(expected)


def test_jobs_and_models_of_the_server_are_completed(shell, shared_server):
    name = shared_server.start_job("tabbed", epochs=1, model_name="tabbed-model")
    shared_server.wait_job(name)
    shell.type("atelier watch tabb\t\t")
    shell.wait_for(name.removeprefix("jobs/"))
    shell.type("\x15atelier classify --model tabb\t\t")
    shell.wait_for("--model tabbed-model")
    shell.type("\x15atelier bench classify tabb\t\t")
    shell.wait_for("classify tabbed-model")

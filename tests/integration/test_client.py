"""The command line as people and scripts use it."""

import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest

import harness


def train(server, *arguments, **options):
    return server.run("train", "--preset=dense", "--dataset=small", "--epochs=2", "--cores=1",
                      "--seed=1", *arguments, **options)


def job_of(server):
    return server.json("jobs")[0]["name"]


def test_train_follows_and_ends_with_the_result(shared_server):
    ended = train(shared_server, "--name=followed", check=harness.DONE)
    assert "\x1b" not in ended.stdout and "\r" not in ended.stdout
    assert "followed-" in ended.stdout and "%" in ended.stdout
    job = shared_server.json("show", job_of(shared_server))[0]
    assert job["state"] == "JOB_STATE_COMPLETED" and job["spec"]["preset"] == "dense"
    assert 0 < job["result"]["test_accuracy"] <= 1
    assert int(job["result"]["parameter_count"]) == 109386
    assert [t["state"] for t in job["transitions"]][-1] == "JOB_STATE_COMPLETED"


def test_json_is_one_object_a_line_and_nothing_else(shared_server):
    lines = [json.loads(line) for line in
             train(shared_server, "--output=json", check=harness.DONE).stdout.splitlines()]
    assert lines[-1]["result"]["test_accuracy"] > 0
    assert [line["epoch"]["epoch"] for line in lines if "epoch" in line and "number" in line] == [1, 2]
    name = lines[-1]["name"]
    for command in (["jobs"], ["show", name], ["confusion", name], ["models"], ["datasets"],
                    ["watch", name]):
        assert shared_server.json(*command), command
    matrix = shared_server.json("confusion", name)[0]
    assert matrix["class_names"] == harness.CLASS_NAMES
    assert sum(int(n) for row in matrix["rows"] for n in row["counts"]) == 500


def test_conv_depth_names_the_network(shared_server):
    ended = shared_server.run("--output=json", "train", "--conv-depth=1", "--dataset=small",
                              "--epochs=1", "--cores=1", check=harness.DONE)
    assert json.loads(ended.stdout.splitlines()[-1])["spec"]["preset"] == "cnn-1"


def test_detach_stop_and_exit_codes(server):
    ended = train(server, "--detach", "--epochs=500", "--patience=500", check=harness.DONE)
    name = job_of(server)
    assert name.removeprefix("jobs/") in ended.stdout
    server.wait_job(name, "TRAINING")
    assert server.run("show", name).returncode == harness.NOT_FINISHED
    assert server.run("confusion", name).returncode == harness.ERROR
    assert server.run("delete", name).returncode == harness.ERROR
    server.wait_event(name, "epoch")
    server.run("stop", name, check=harness.DONE)
    assert server.run("watch", name.removeprefix("jobs/")).returncode == harness.STOPPED
    assert server.run("show", name).returncode == harness.STOPPED
    server.run("delete", name, check=harness.DONE)
    assert server.run("show", name).returncode == harness.NOT_FOUND


def test_confusion_names_classes_and_the_worst_pairs(shared_server):
    train(shared_server, check=harness.DONE)
    text = shared_server.run("confusion", job_of(shared_server), check=harness.DONE).stdout
    for word in ("Ankle boot", "recall", "→"):
        assert word.lower() in text.lower()


def test_classify_test_images_and_files(shared_server, tmp_path):
    from PIL import Image
    train(shared_server, "--model-name=cli", check=harness.DONE)
    text = shared_server.run("classify", "--model=cli", "--dataset=small", "--test-image", 3,
                             check=harness.DONE).stdout
    assert any(name in text for name in harness.CLASS_NAMES) and "%" in text
    pixels = harness.read_idx(shared_server.datasets["small"] / "t10k-images-idx3-ubyte.gz")[:2]
    paths = []
    for number, image in enumerate(pixels):
        paths.append(tmp_path / f"{number}.{'png' if number else 'jpg'}")
        Image.fromarray(image).save(paths[-1], quality=95)
    answers = shared_server.json("classify", "--model=cli@1", *paths)
    assert answers and "model_version" in json.dumps(answers)
    assert shared_server.run("classify", "--model=cli", "--dataset=small", "--test-image", 500
                             ).returncode != harness.DONE


def test_classify_a_folder_and_standard_input(shared_server, tmp_path):
    from PIL import Image
    train(shared_server, "--model-name=folder", check=harness.DONE)
    pixels = harness.read_idx(shared_server.datasets["small"] / "t10k-images-idx3-ubyte.gz")[:150]
    (tmp_path / "in" / "deep").mkdir(parents=True)
    paths = []
    for number, image in enumerate(pixels):
        folder = tmp_path / "in" if number < 100 else tmp_path / "in" / "deep"
        paths.append(folder / f"{number:03}.png")
        Image.fromarray(255 - image).resize((56, 56), Image.NEAREST).save(paths[-1])
    answers = shared_server.json("classify", "--model=folder", tmp_path / "in")
    assert [answer["image"] for answer in answers] == [str(path) for path in paths]
    raw = shared_server.inference.Classify(harness.inference_pb.ClassifyRequest(
        model="models/folder", top_k=1, raw=harness.inference_pb.RawImages(pixels=pixels.tobytes())))
    assert [answer["classifications"][0]["classes"][0]["name"] for answer in answers] == [
        one.classes[0].name for one in raw.classifications]
    # What is no image is named, and costs the others nothing.
    (tmp_path / "in" / "notes.txt").write_text("no image")
    (tmp_path / "in" / "cut.png").write_bytes(paths[0].read_bytes()[:100])
    ended = shared_server.run("classify", "--model=folder", tmp_path / "in", check=harness.ERROR)
    assert "150 images in" in ended.stdout and ended.stderr.count("\n") == 3
    assert "notes.txt: " in ended.stderr and "cut.png: " in ended.stderr
    assert "2 files were skipped" in ended.stderr
    with open(paths[3], "rb") as image:
        piped = subprocess.run([str(harness.BIN / "atelier"), f"--server={shared_server.address}",
                                "--output=json", "classify", "--model=folder", "--stdin"], stdin=image,
                               capture_output=True, timeout=60)
    assert piped.returncode == harness.DONE, piped.stderr
    assert json.loads(piped.stdout)["classifications"] == answers[3]["classifications"]


def test_alias_models_and_download(shared_server, tmp_path):
    train(shared_server, "--model-name=named", check=harness.DONE)
    shared_server.run("alias", "named@1", "production", check=harness.DONE)
    assert "production" in shared_server.run("models", check=harness.DONE).stdout
    target = tmp_path / "model.tar.gz"
    shared_server.run("download", "named@production", "-o", target, check=harness.DONE)
    stored = shared_server.data_dir / "models" / "named" / "1" / "model.tar.gz"
    assert target.read_bytes() == stored.read_bytes()
    target.write_text("mine")
    assert shared_server.run("download", "named", "-o", target).returncode == harness.ERROR
    assert target.read_text() == "mine"
    shared_server.run("download", "named", "--format=torchscript", "-o", target, "--force",
                      check=harness.DONE)
    assert target.read_bytes()[:2] == b"PK"


def test_logs_and_csv(shared_server):
    train(shared_server, check=harness.DONE)
    name = job_of(shared_server)
    assert "epoch" in shared_server.run("logs", name, check=harness.DONE).stdout
    rows = shared_server.run("--output=csv", "watch", name, check=harness.DONE).stdout.splitlines()
    assert "validation_loss" in rows[0] and len(rows) == 3
    assert len(shared_server.run("--output=csv", "jobs").stdout.splitlines()) >= 2


def test_a_watching_client_survives_a_restart_of_the_server(server):
    train(server, "--detach", "--epochs=8", "--patience=8", check=harness.DONE)
    name = job_of(server)
    server.wait_event(name, "epoch")
    client = subprocess.Popen([str(harness.BIN / "atelier"), f"--server={server.address}",
                               "--output=json", "watch", name], stdout=subprocess.PIPE, text=True)
    assert json.loads(client.stdout.readline())
    server.kill()
    server.start()
    lines = [json.loads(line) for line in client.stdout]
    assert client.wait(60) == harness.DONE
    numbers = [int(line["number"]) for line in lines if "number" in line]
    assert numbers == sorted(set(numbers))
    assert lines[-1]["state"] == "JOB_STATE_COMPLETED"


def test_ctrl_c_detaches_and_the_job_goes_on(server):
    client = subprocess.Popen([str(harness.BIN / "atelier"), f"--server={server.address}", "train",
                               "--preset=dense", "--dataset=small", "--epochs=500", "--patience=500",
                               "--cores=1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    harness.wait_for(lambda: server.json("jobs"), 20)
    name = job_of(server)
    server.wait_event(name, "epoch")
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=10)
    assert client.returncode == 130
    assert f"atelier watch {name.removeprefix('jobs/')}" in " ".join((out + err).split())
    assert server.job(name).state == harness.job_pb.JOB_STATE_TRAINING


def test_on_a_terminal_one_line_is_updated_in_place(shared_server):
    master, slave = pty.openpty()
    client = subprocess.Popen(
        [str(harness.BIN / "atelier"), f"--server={shared_server.address}", "train",
         "--preset=cnn-1", "--dataset=small", "--epochs=2", "--cores=1"],
        stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm-256color"})
    os.close(slave)
    seen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
    assert client.wait(10) == harness.DONE
    os.close(master)
    assert b"\r" in seen and b"\x1b[" in seen


def test_text_is_ascii_where_the_terminal_has_no_utf8(shared_server):
    train(shared_server, "--name=ascii", check=harness.DONE)
    name = job_of(shared_server)
    for command in (["show", name], ["confusion", name], ["compare", "--help"]):
        plain = shared_server.run(*command, env={**os.environ, "LC_ALL": "C"})
        rich = shared_server.run(*command)
        assert plain.stdout.isascii() and not rich.stdout.isascii(), command
        # As wide as it was, so what lined up lines up.
        assert [len(line) for line in plain.stdout.splitlines()] == [
            len(line) for line in rich.stdout.splitlines()], command
    # A locale that is not installed, as it comes with ssh, names its charset nevertheless.
    env = {**os.environ, "LC_ALL": "nn_NN.UTF-8"}
    assert not shared_server.run("confusion", name, env=env).stdout.isascii()
    assert "→" not in shared_server.run("confusion", name, env={**env, "LC_ALL": "nn_NN"}).stdout


def test_a_whole_model_is_deleted(shared_server):
    for _ in range(2):
        train(shared_server, "--model-name=doomed", check=harness.DONE)
    refused = shared_server.run("delete", "doomed", check=harness.ERROR)
    assert "2 versions" in refused.stderr and "--force" in refused.stderr
    shared_server.run("alias", "doomed@1", "production", check=harness.DONE)
    assert "production" in shared_server.run("delete", "doomed", check=harness.ERROR).stderr
    assert "--force" in shared_server.run("delete", "doomed@1", check=harness.ERROR).stderr
    said = shared_server.run("delete", "doomed", "--force", check=harness.DONE)
    assert said.stdout == "Deleted doomed with 2 versions.\n"
    assert shared_server.run("models", "doomed").returncode == harness.NOT_FOUND
    assert not (shared_server.data_dir / "models" / "doomed" / "1").exists()


def test_compare_is_numbers_for_programs(shared_server):
    train(shared_server, "--memory=1GiB", check=harness.DONE)
    name = job_of(shared_server)
    compared = shared_server.json("compare", name, name)[0]
    assert compared["runs"] == 1 and compared["spec"]["memory_bytes"] == 1 << 30
    assert compared["spec"]["epochs"] == 2 and compared["trials"][0]["seed"] == 1
    assert "MiB" not in shared_server.run("--output=csv", "compare", name).stdout


def test_help_and_version(shared_server):
    for command in ([], ["train"], ["watch"], ["jobs"], ["show"], ["stop"], ["delete"], ["logs"],
                    ["confusion"], ["classify"], ["models"], ["alias"], ["download"], ["datasets"],
                    ["report"]):
        ended = shared_server.run(*command, "--help", check=harness.DONE)
        assert ended.stdout.strip() and not ended.stderr
    assert shared_server.run("--version", check=harness.DONE).stdout.strip()


@pytest.mark.parametrize("words, expected", [
    (["atelier", "tr"], "train"), (["atelier", "alias", "x@1", "y", "--f"], "--force"),
    (["atelier", "delete", "x", "--f"], "--force"), (["atelier", "train", "--pre"], "--preset"),
    (["atelier", "train", "--preset", "cnn"], "cnn-3-pooled")])
def test_bash_completes(words, expected):
    script = harness.ROOT / "deploy" / "completions" / "atelier.bash"
    line = " ".join(f"'{word}'" for word in words)
    command = (f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
               f"COMP_LINE=\"${{COMP_WORDS[*]}}\"; COMP_POINT=${{#COMP_LINE}}; "
               "f=$(complete -p atelier | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
               "\"$f\" atelier \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; "
               "printf '%s\\n' \"${COMPREPLY[@]}\"")
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20,
                           env={**os.environ, "PATH": f"{harness.BIN}:{os.environ['PATH']}"})
    assert expected in ended.stdout.split(), ended

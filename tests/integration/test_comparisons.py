"""The benchmarks that run peers beside Atelier: what they print, and what they do without a peer."""
import json
import pathlib
import subprocess
import sys

import pytest

from harness import BIN

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH))
import peers  # noqa: E402


def compare(*options, check=True):
    return subprocess.run([sys.executable, str(BENCH / "compare_training.py"), f"--train-bench={BIN / 'train_bench'}",
                           "--rounds=1", "--seconds=0.1", "--threads=1", *options],
                          check=check, capture_output=True, text=True)


def test_a_network_is_trained_by_atelier_and_by_the_peer():
    network = "cnn-1:3x16x16"
    printed = compare("--peers=Debian's PyTorch", f"--networks={network}", "--json").stdout
    results = [json.loads(line) for line in printed.splitlines()]
    assert results[-1]["precision"] == "float32" and len({r["precision"] for r in results}) == len(results)
    for result in results:
        assert result["network"] == network and result["rounds"] == 1
        assert result["atelier"] > 0 and result["peers"]["Debian's PyTorch"] > 0
        assert result["ratio"] == pytest.approx(result["atelier"] / result["peers"]["Debian's PyTorch"])


def test_unknown_peers_and_networks_are_named():
    for options, said in ((["--peers=Torch"], "peers are Debian's PyTorch; "),
                          (["--peers=Debian's PyTorch", "--networks=cnn-9"], "there is no network cnn-9")):
        refused = compare(*options, check=False)
        assert refused.returncode != 0 and said in refused.stderr, refused


def test_a_peer_that_cannot_be_installed_is_skipped_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "PEERS", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    interpreter, reason = peers.python_with("openvino")
    assert interpreter is None and reason.startswith("openvino cannot be installed: "), reason

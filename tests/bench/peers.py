"""Where the benchmarks' peers come from: environments of their own, made once, below build/peers."""
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = ROOT / "build" / "peers"


def last_line(text):
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def python_with(*packages):
    """(an interpreter that has the packages of PyPI, None), or (None, why there is none)."""
    folder = PEERS / packages[0]
    interpreter = folder / "bin" / "python3"
    complete = folder / "complete"
    if complete.exists():
        return interpreter, None
    shutil.rmtree(folder, ignore_errors=True)
    print(f"installing {' '.join(packages)} into {folder}", file=sys.stderr)
    for command in (["python3", "-m", "venv", folder], [interpreter, "-m", "pip", "install", *packages]):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode != 0:
            return None, f"{packages[0]} cannot be installed: {last_line(done.stderr or done.stdout)}"
    complete.touch()
    return interpreter, None


def node_modules_with(package):
    """(a folder of node's modules with the package of npm, None), or (None, why there is none)."""
    modules = PEERS / "node" / "node_modules"
    if (modules / package.split("@")[0]).is_dir():
        return modules, None
    if not shutil.which("npm") or not shutil.which("node"):
        return None, "there is no npm; install Debian's npm"
    modules.parent.mkdir(parents=True, exist_ok=True)
    # Its scripts would fetch the libraries for GPUs.
    done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund",
                           f"--prefix={modules.parent}", package], capture_output=True, text=True)
    if done.returncode != 0:
        return None, f"npm cannot install {package}: {last_line(done.stderr)}"
    return modules, None

"""Builds the package: generates its messages and stubs from the protocol's .proto files.

The rest is in pyproject.toml. The files come from `proto/` of the checkout, or of the source
distribution, which has a copy. Needs protoc 3.21 with grpc_python_plugin, or grpcio-tools, which pip
fetches if it may and the former are missing.
"""

import importlib.util
import pathlib
import shutil
import subprocess
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
# The services that the package calls.
OWN = "atelier/v1"
# Definitions that other packages bring too, each in its own text. They are kept as a description
# that is read into a pool of its own, so that they never meet.
SHARED = ["google/rpc/error_details.proto", "google/rpc/status.proto",
          "grpc/health/v1/health.proto"]
DEBIAN = "protobuf-compiler protobuf-compiler-grpc libprotobuf-dev"


def proto_folder():
    for folder in (HERE / "proto", HERE.parents[1] / "proto"):
        if (folder / OWN).is_dir():
            return folder
    sys.exit(f"atelier: there is no folder proto/{OWN}, neither in {HERE} nor two folders above it. "
             "Build the package in a checkout or from a source distribution.")


def has_protoc():
    return bool(shutil.which("protoc") and shutil.which("grpc_python_plugin"))


def compiler():
    """The command that compiles .proto files, and its name for the output of stubs."""
    if has_protoc():
        return (["protoc", f"--plugin=protoc-gen-grpc={shutil.which('grpc_python_plugin')}"],
                "--grpc_out")
    if importlib.util.find_spec("grpc_tools"):
        return [sys.executable, "-m", "grpc_tools.protoc"], "--grpc_python_out"
    sys.exit("atelier: the compiler of .proto files is missing. Install protoc 3.21 or later with its "
             f"plugin for Python (Debian: apt install {DEBIAN}), or pip install grpcio-tools.")


def compile_protos(*arguments):
    command, _ = compiler()
    finished = subprocess.run([*command, f"-I{proto_folder()}", *map(str, arguments)], text=True,
                              stderr=subprocess.PIPE)
    if finished.returncode != 0:
        sys.exit(f"{finished.stderr}\natelier: compiling the .proto files failed. It takes protoc 3.21 or "
                 f"later with Google's own .proto files (Debian: apt install {DEBIAN}).")


class BuildWithStubs(build_py):
    """Copies the modules, then adds what is generated beside them."""

    def run(self):
        # An editable installation runs from the sources.
        editable = getattr(self, "editable_mode", False)
        target = HERE / "src" if editable else pathlib.Path(self.build_lib)
        if not editable:  # What an earlier build left would become part of this one.
            shutil.rmtree(target / "atelier", ignore_errors=True)
        for old in (target / OWN).glob("*_pb2*"):
            old.unlink()
        super().run()
        own = sorted((proto_folder() / OWN).glob("*.proto"))
        compile_protos(f"--python_out={target}", f"--pyi_out={target}", f"{compiler()[1]}={target}",
                       *(path.relative_to(proto_folder()) for path in own))
        compile_protos("--include_imports", f"--descriptor_set_out={target}/atelier/shared.binpb",
                       *SHARED)


class SourcesWithProtos(sdist):
    """Adds the .proto files, which lie outside of the package's folder."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        folder = proto_folder()
        for path in [*(folder / OWN).glob("*.proto"), *(folder / name for name in SHARED)]:
            target = pathlib.Path(base_dir) / "proto" / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithStubs, "sdist": SourcesWithProtos},
      # What pip fetches for a build in isolation, besides pyproject.toml's.
      setup_requires=[] if has_protoc() else ["grpcio-tools"])

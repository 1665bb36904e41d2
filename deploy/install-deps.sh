#!/usr/bin/env bash
# Installs what Atelier needs to build, run and be tested, from Debian's own packages, and does
# nothing when nothing is missing. Both README commands call it; it is safe to run again.
#
#   deploy/install-deps.sh            what building and running need
#   deploy/install-deps.sh --tests    also what the tests need
#   deploy/install-deps.sh --deployment-tests
#                                     also what tests/deploy needs
#   deploy/install-deps.sh --list     prints the packages, one a line, and installs nothing
set -euo pipefail

build=(
  build-essential ccache cmake file ninja-build pkg-config
  libabsl-dev libarchive-dev libbenchmark-dev libcli11-dev libcurl4-openssl-dev libfmt-dev libgloo-dev libgrpc++-dev libgtest-dev
  libgmock-dev libhwy-dev libjpeg-dev libmicrohttpd-dev libonnx-dev libpng-dev libprotobuf-dev libseccomp-dev libspdlog-dev libsqlite3-dev
  libsqlitecpp-dev libssl-dev libtorch-dev libwebp-dev nlohmann-json3-dev prometheus-cpp-dev protobuf-compiler
  protobuf-compiler-grpc zlib1g-dev
  dataset-fashion-mnist
)
tests=(
  busybox-static chromium-headless-shell clang clang-format clang-tidy containerd containernetworking-plugins
  etcd-server fonts-dejavu-core iproute2 libclang-rt-dev munge prometheus
  prometheus-node-exporter python3-grpcio python3-numpy python3-onnx python3-pil python3-protobuf
  python3-pytest python3-setuptools python3-torch python3-venv python3-wheel python3-yaml
  runc slurm-client slurmctld slurmd
)
deployment_tests=(docker-compose mandoc mmdebstrap shellcheck zsh)
# What Debian starts as soon as it is installed, and at every boot; the tests start their own.
daemons=(containerd etcd-server munge prometheus prometheus-node-exporter slurmctld slurmd)

packages=("${build[@]}")
list_only=false
for argument in "$@"; do
  case "$argument" in
    --tests) packages+=("${tests[@]}") ;;
    --deployment-tests) packages+=("${tests[@]}" "${deployment_tests[@]}") ;;
    --list) list_only=true ;;
    *)
      echo "install-deps.sh: unknown argument '$argument'; it takes --tests, --deployment-tests and --list" >&2
      exit 1
      ;;
  esac
done

if $list_only; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  cat >&2 <<MESSAGE
install-deps.sh: this system has no apt-get, so nothing was installed.
Atelier is built and tested on Debian 13 and on Debian 12. Either run it there (a container or virtual
machine of debian:13 will do), or install your system's packages of (the versions of Debian 13, and the
older ones of Debian 12, which do as well):
  a C++20 compiler, CMake 3.31 (3.25), Ninja, gRPC 1.51 with its C++ plugin, Protobuf 3.21,
  LibTorch 2.6 (1.13), Gloo, Abseil 20240722 (20220623), prometheus-cpp 1.0, GoogleTest with GoogleMock,
  Google Benchmark, SQLite with SQLiteCpp, CLI11, spdlog, fmt, nlohmann-json, libarchive, libpng,
  libjpeg-turbo, libwebp, libcurl, libmicrohttpd, libseccomp, OpenSSL, zlib, Highway, ONNX, and the Fashion-MNIST files in
  /usr/share/datasets/fashion-mnist.
gRPC, Protobuf and Abseil must be built against each other.
MESSAGE
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: run this as root once: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q

unwanted=()
for daemon in "${daemons[@]}"; do
  case " ${missing[*]} " in *" $daemon "*) unwanted+=("$daemon") ;; esac
done
# Debian's way to forbid that: whoever would start a service asks this program first.
policy=/usr/sbin/policy-rc.d
if [ ${#unwanted[@]} -gt 0 ] && [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
fi
"${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
for daemon in "${unwanted[@]}"; do
  if command -v systemctl >/dev/null; then
    "${as_root[@]}" systemctl --quiet disable "${daemon%-server}" || true
  else
    "${as_root[@]}" update-rc.d "${daemon%-server}" disable || true
  fi
done

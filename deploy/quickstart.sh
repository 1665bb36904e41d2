#!/usr/bin/env bash
# From a fresh clone to a trained model: installs what is missing, builds Atelier, starts a server,
# trains a network on the 60,000 images of Fashion-MNIST while you watch, shows its confusion matrix
# and classifies test images.
#
#   deploy/quickstart.sh [--preset=cnn-1] [--epochs=3] [--keep]
#
# The server stops when the tour is over, unless --keep leaves it running. What it learned stays in
# the data directory, ATELIER_DATA_DIR or build/quickstart.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=cnn-1 epochs=3 keep=false
for argument in "$@"; do
  case "$argument" in
    --preset=*) preset=${argument#*=} ;;
    --epochs=*) epochs=${argument#*=} ;;
    --keep) keep=true ;;
    *) echo "quickstart.sh: unknown argument '$argument'; it takes --preset, --epochs, --keep" >&2; exit 1 ;;
  esac
done

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
step() { printf '\n%s▸ %s%s\n' "$bold" "$1" "$plain"; }
show() {
  printf '%s$ atelier %s%s\n' "$dim" "$*" "$plain"
  "$bin/atelier" "$@"
}

bin=$PWD/build/release/bin
data=${ATELIER_DATA_DIR:-$PWD/build/quickstart}

step "1/5  Packages and build (the first time takes some minutes)"
deploy/install-deps.sh
mkdir -p build
build() {
  cmake --preset release >build/release.log &&
    cmake --build --preset release --target atelierd atelier-worker atelier
}
if [ -t 1 ]; then build; else build >>build/release.log; fi ||
  { tail -n 40 build/release.log; echo "quickstart.sh: the build failed; see build/release.log" >&2; exit 1; }

step "2/5  A server"
mkdir -p "$data"
ready=$data/ready
rm -f "$ready"
"$bin/atelierd" --listen=127.0.0.1:0 --metrics_listen=127.0.0.1:0 --data_dir="$data" \
  >"$ready" 2>"$data/atelierd.log" &
server=$!
stop_server() { $keep || { kill "$server" 2>/dev/null && wait "$server" || true; }; }
trap stop_server EXIT
for _ in $(seq 100); do
  grep -q serving "$ready" && break
  kill -0 "$server" 2>/dev/null || { cat "$data/atelierd.log" >&2; exit 1; }
  sleep 0.1
done
cat "$ready"
ATELIER_SERVER=$(sed -n 's/.*serving on \([^,]*\),.*/\1/p' "$ready")
export ATELIER_SERVER

step "3/5  Train $preset on 60,000 images, live"
show train --preset="$preset" --epochs="$epochs" --name=quickstart
job=$("$bin/atelier" --output=json jobs --limit=1 | sed -n 's/.*"name":"jobs\/\([^"]*\)".*/\1/p')

step "4/5  What it confuses"
show confusion "$job"

step "5/5  Classify test images it has never seen"
show classify --model="$preset" --test-image 0 --test-image 1 --test-image 2

cat <<NEXT

${bold}That was Atelier.${plain} What to try next:
  export PATH=$bin:\$PATH
NEXT
if $keep; then
  echo "  export ATELIER_SERVER=$ATELIER_SERVER    # the server goes on; end it with: kill $server"
else
  echo "  atelierd --data_dir=$data &   # the server again, with what it learned"
fi
cat <<NEXT
  atelier train --preset cnn-3                   # the study's deepest network; some minutes
  atelier jobs                                   # what ran
  atelier show $job
  atelier classify --model=$preset picture.png   # a picture of your own, or a folder
  atelier download $preset                        # the model, for anything that loads TorchScript
  atelier --help
NEXT

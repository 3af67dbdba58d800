#!/usr/bin/env bash
# Measures the image cloner, the very program that `make build` makes, with a real API server and real registries.
#
# Cold: an image of 1 GB in 20 layers is asked for and copied, beside skopeo on the same files, in turn, several rounds;
# medians of seconds, CPU seconds and peak memory. Warm: the program on one processor, who asks on another; answers in a second
# and how long one takes, at one connection and at 64, and at 64 that ask 500 times in a second; memory; and how many requests
# to registries there are for each answer.
#
#   hack/bench/cloner.sh [ROUNDS]      five without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

rounds=${1:-5}
layers=${KIP_BENCH_LAYERS:-20} layer_bytes=50000000
seconds=${KIP_BENCH_SECONDS:-10}
for tool in docker-registry skopeo taskset openssl curl /usr/bin/time; do
  command -v "$tool" >/dev/null ||
    { echo "'$tool' is needed (Debian: docker-registry skopeo util-linux openssl curl time)" >&2; exit 1; }
done
[ -x bin/image-cloner ] || hack/build.sh
cargo build --locked --release --package kip-registry --example registry_bench
cargo build --locked --release --package image-cloner --example cloner_bench
bench=$PWD/target/release/examples
cluster=kip-bench-cloner
port=18443

. hack/bench/servers.sh
cloner=
finish() {
  [ -z "$cloner" ] || kill "$cloner" 2>/dev/null || true
  hack/local-cluster.sh down --name "$cluster" >/dev/null 2>&1 || true
  end_servers
}
trap finish EXIT

hack/local-cluster.sh up --name "$cluster" --nodes 1 >/dev/null
set -a
eval "$(hack/local-cluster.sh env --name "$cluster")"
set +a

# Waits for a command to succeed.
await() { # COMMAND …
  for _ in $(seq 600); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.05
  done
  echo "not within 30 s: $*" >&2
  return 1
}

# Starts the program, with the copies in this registry; sets `cloner`.
start_cloner() { # TARGET COMMAND-IN-FRONT…
  local target=$1
  shift
  env REGISTRY="$target/backup" PLAIN_HTTP_REGISTRIES="$source;$target" PRIVATE_REGISTRIES="$source" POD_NAMESPACE=default \
    AUTH_DIR=/nonexistent KINDS=templates ORIGINAL_FRESH="${fresh:-30s}" LOG_LEVEL=warn \
    "$@" bin/image-cloner serve --port $port --metrics-port 18080 >"$work/cloner.log" 2>&1 &
  cloner=$!
  await curl --silent --insecure --fail --noproxy '*' https://127.0.0.1:$port/readyz || { cat "$work/cloner.log" >&2; exit 1; }
}

stop_cloner() {
  # It would serve on until nobody asks any more; nobody does.
  kill -KILL "$cloner"
  wait "$cloner" 2>/dev/null || true
  cloner=
}

# CPU seconds and peak megabytes of the program so far.
spent() {
  local ticks
  ticks=$(awk '{ print $14 + $15 }' "/proc/$cloner/stat")
  awk -v ticks="$ticks" -v hz="$(getconf CLK_TCK)" '/VmHWM/ { printf "%.2f %.1f", ticks / hz, $2 / 1024 }' "/proc/$cloner/status"
}

resident() { awk '/VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$cloner/status"; }

address="https://127.0.0.1:$port/clone-image?timeout=30s"

start_registry source
source=$registry
"$bench/registry_bench" seed "$source/bench/image:1" "$layers" "$layer_bytes"

# === cold ===

copy_with_cloner() {
  start_cloner "$registry"
  "$bench/cloner_bench" ask "$address" "$source/bench/image:1" >"$work/said"
  echo "$(cut -d' ' -f1 "$work/said") $(spent)" >>"$work/cold-cloner"
  stop_cloner
}

copy_with_skopeo() {
  measure cold-skopeo skopeo copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
    "docker://$source/bench/image:1" "docker://$registry/backup/image:1"
}

for round in $(seq "$rounds"); do
  # In turn, and the other first each time.
  tools=(cloner skopeo)
  [ $((round % 2)) = 1 ] || tools=(skopeo cloner)
  for tool in "${tools[@]}"; do
    start_registry target
    "copy_with_$tool"
    stop_registry target
  done
done
printf 'figure: cold: %s layers of %s bytes, %s rounds, medians; %s, %s processors\n' \
  "$layers" "$layer_bytes" "$rounds" "$(skopeo --version)" "$(nproc)"
for tool in cloner skopeo; do
  printf 'figure: cold: %-6s  %6.2f s  %6.2f CPU s  %6.1f MB peak\n' "$tool" \
    "$(median "cold-$tool" 1)" "$(median "cold-$tool" 2)" "$(median "cold-$tool" 3)"
done

# === warm ===

"$bench/registry_bench" seed "$source/bench/small:1" 2 100000
start_registry target

# Whoever asks is on another processor than who answers, where there are two.
last=$(($(nproc) - 1))
ask() { taskset -c "$last" "$bench/cloner_bench" "$@"; }
# Requests in the registries' access logs.
lines() { cat "$work/source/log" "$work/target/log" | grep -cE '^[0-9.]+ - .*"image-cloner/' || true; }

start_cloner "$registry" taskset -c 0
await ask ask "$address" "$source/bench/small:1"
sleep 2
idle=$(resident)
for load in "1" "64" "64 500"; do
  read -r connections rate <<<"$load"
  name=warm-$connections-${rate:-all}
  before=$(lines) answers=0
  for _ in $(seq "$rounds"); do
    ask load "$address" "$source/bench/small:1" "$connections" "$seconds" ${rate:+"$rate"} >>"$work/$name"
  done
  answers=$(awk '{ sum += $4 } END { print sum }' "$work/$name")
  printf 'figure: warm: %2s connections%s: %s answers a second, p50 %s ms, p99 %s ms, %s requests to registries in %s answers\n' \
    "$connections" "${rate:+, $rate a second}" "$(median "$name" 1)" "$(median "$name" 2)" "$(median "$name" 3)" \
    "$(($(lines) - before))" "$answers"
done
printf 'figure: warm: resident memory: %s MB idle, %s MB after the load\n' "$idle" "$(resident)"
stop_cloner

# Every answer by a new question to the original's registry: what a proof makes of one that is never fresh.
fresh=0s
start_cloner "$registry" taskset -c 0
await ask ask "$address" "$source/bench/small:1"
before=$(lines)
ask load "$address" "$source/bench/small:1" 4 "$seconds" 100 >"$work/never-fresh"
answers=$(cut -d' ' -f4 "$work/never-fresh")
# Each connection's first question is not among the answers.
printf 'figure: warm: ORIGINAL_FRESH=0s: %s requests to registries in %s answers\n' "$(($(lines) - before))" "$((answers + 4))"
stop_cloner

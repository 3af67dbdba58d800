#!/usr/bin/env bash
# Copies an image of 1 GB in 20 layers from one docker-registry to another, and to a registry that discards what it
# gets: kip-registry and skopeo in turn, several rounds. Prints the medians of seconds, CPU seconds and peak memory; and how
# many tags are resolved in a second.
#
#   hack/bench/registry.sh [ROUNDS]      five without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

rounds=${1:-5}
layers=20 layer_bytes=50000000
for tool in docker-registry skopeo /usr/bin/time; do
  command -v "$tool" >/dev/null || { echo "'$tool' is needed (Debian: docker-registry skopeo time)" >&2; exit 1; }
done
cargo build --locked --release --package kip-registry --example registry_bench
bench=$PWD/target/release/examples/registry_bench

work=$(mktemp -d)
servers=()
finish() {
  [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# Waits for a line of a server's log that a pattern finds, and prints what the pattern groups.
address() { # LOG PATTERN
  local log=$1 pattern=$2 found
  for _ in $(seq 300); do
    found=$(sed -nE "s/$pattern/\\1/p" "$log" | head -1)
    [ -z "$found" ] || { echo "$found"; return; }
    sleep 0.1
  done
  echo "no address in 30 s:" >&2
  cat "$log" >&2
  return 1
}

# Starts a docker-registry with a folder of its own; sets `registry` and `pid`.
start_registry() { # NAME
  local folder=$work/$1
  mkdir -p "$folder"
  printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' \
    "$folder/data" >"$folder/config.yaml"
  docker-registry serve "$folder/config.yaml" >"$folder/log" 2>&1 &
  pid=$!
  servers+=("$pid")
  registry=$(address "$folder/log" '.*listening on ([0-9.:]+).*')
}

stop_registry() { # NAME
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  rm -rf "${work:?}/$1"
}

# Runs a command, and writes its seconds, CPU seconds and peak kilobytes into a file of samples.
measure() { # SAMPLES COMMAND …
  local samples=$1
  shift
  /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }
  awk '{ print $1, $2 + $3, $4 / 1024 }' "$work/time" >>"$work/$samples"
}

copy_with() { # TOOL SAMPLES TARGET
  case $1 in
  kip) measure "$2" "$bench" copy "$source/bench/image:1" "$3/copy/image:1" ;;
  # As it is, as kip-registry copies it: neither decompressed nor compressed again.
  skopeo) measure "$2" skopeo copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
    "docker://$source/bench/image:1" "docker://$3/copy/image:1" ;;
  esac
}

median() { # SAMPLES COLUMN
  awk -v column="$2" '{ print $column }' "$work/$1" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}

start_registry source
source=$registry
"$bench" seed "$source/bench/image:1" "$layers" "$layer_bytes"
"$bench" discard >"$work/discard" &
servers+=("$!")
discard=$(address "$work/discard" '^([0-9.:]+)$')

for round in $(seq "$rounds"); do
  # In turn, and the other first each time.
  tools=(kip skopeo)
  [ $((round % 2)) = 1 ] || tools=(skopeo kip)
  for tool in "${tools[@]}"; do
    start_registry target
    copy_with "$tool" "$tool-registry" "$registry"
    stop_registry target
    copy_with "$tool" "$tool-discard" "$discard"
  done
done

measure resolve "$bench" resolve "$source/bench/image:1" 5000
printf 'figure: 5000 tags, eight at a time: %s a second, %.2f CPU s, %.1f MB peak\n' \
  "$(cat "$work/said")" "$(median resolve 2)" "$(median resolve 3)"
printf 'figure: %s layers of %s bytes, %s rounds, medians; %s, %s processors\n' \
  "$layers" "$layer_bytes" "$rounds" "$(skopeo --version)" "$(nproc)"
for target in registry discard; do
  for tool in kip skopeo; do
    samples=$tool-$target
    printf 'figure: to a %-8s  %-6s  %6.2f s  %6.2f CPU s  %6.1f MB peak\n' "$target" "$tool" \
      "$(median "$samples" 1)" "$(median "$samples" 2)" "$(median "$samples" 3)"
  done
done

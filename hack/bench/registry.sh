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

. hack/bench/servers.sh

copy_with() { # TOOL SAMPLES TARGET
  case $1 in
  kip) measure "$2" "$bench" copy "$source/bench/image:1" "$3/copy/image:1" ;;
  # As it is, as kip-registry copies it: neither decompressed nor compressed again.
  skopeo) measure "$2" skopeo copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
    "docker://$source/bench/image:1" "docker://$3/copy/image:1" ;;
  esac
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

#!/usr/bin/env bash
# Prints the figures of the README, docs/image-cloner.md and docs/pull-image.md, measured now on this machine. The clusters that it makes are removed again.
# KIP_SOAK_MINUTES=30 measures the daemon's memory over so many refreshes, one a minute; else over ten, 5 s apart.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -x bin/kip-daemon ] || [ ! -x bin/kip-sleep ] || [ ! -x bin/image-cloner ]; then hack/build.sh; fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

{
  cargo test --locked -p kip-sleep --features freestanding --profile sleep --test figures -- --nocapture
  KIP_E2E_SKIP_BUILD=1 hack/run-e2e.sh --rm figures:: made_again_within_a_second hardly_longer_than_a_bare outlives_the_api_server silently_cut a_refresh_brings_a_moved_tag a_refresh_is_one_request five_hundred_tags adoption::
} >"$log" 2>&1 || { cat "$log"; exit 1; }

printf 'machine: %s, %s processors, %s, kernel %s\n' \
  "$(. /etc/os-release && echo "$PRETTY_NAME")" "$(nproc)" \
  "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(uname -r)"
printf 'programs: %s, Kubernetes %s\n' "$(rustc --version | cut -d' ' -f1,2)" \
  "$(sed -n 's/.*k8s.io\/kubernetes \(v[0-9.]*\).*/\1/p' hack/tools/go.mod | head -1)"
# The test runner prints a test's name before what the test itself prints.
grep -o 'figure: .*' "$log"

hack/bench/image.sh
hack/bench/cloner.sh
hack/bench/pull.sh

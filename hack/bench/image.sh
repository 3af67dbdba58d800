#!/usr/bin/env bash
# Prints how many references and credentials a second kip-image reads and matches, beside the Go modules of kubelet on
# the same inputs in the same run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

printf 'kip-image: %s; %s, Kubernetes %s\n' "$(rustc --version | cut -d' ' -f1,2)" "$(go version | cut -d' ' -f3)" \
  "$(sed -n 's/.*k8s.io\/kubernetes \(v[0-9.]*\).*/\1/p' crates/kip-image/tests/go/go.mod | head -1)"
cargo bench --locked --quiet -p kip-image --bench throughput

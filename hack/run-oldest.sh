#!/usr/bin/env bash
# The tests that need an API server and no node, on the oldest Kubernetes that is tested: the minor that the feature of
# k8s-openapi in Cargo.toml names. Its control plane is built from source once (hack/tools/oldest/build.sh).
#
#   hack/run-oldest.sh      takes bin/ as hack/build.sh has made it; the cluster is removed in the end
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cluster=kip-oldest

# What is left out needs a node, or an API that this Kubernetes does not serve (MutatingAdmissionPolicy v1 came with 1.36).
tests=(
  version::the_api_server_is_of_a_version_that_is_supported
  surroundings::user_and_group_are_left_to_openshift_where_its_constraints_are_served
  surroundings::a_tick_brings_the_desired_state_about_again_and_none_comes_when_it_is_switched_off
  hostile::what_was_added_is_removed_also_when_the_field_owners_were_wiped
  hostile::cleaning_up_never_deletes_the_daemonset_of_somebody_else
  heal::a_deleted_daemonset_is_made_again_within_a_second
  figures::the_first_apply_follows_the_start_at_once
  faults::a_watch_that_was_silently_cut_is_noticed_within_seventy_seconds
)

say() { printf 'run-oldest: %s\n' "$*" >&2; }

[ -x bin/kip-daemon ] || { say "bin/kip-daemon is not there: hack/build.sh makes it"; exit 1; }
KIP_KUBERNETES=$(go -C hack/tools/oldest list -m -f '{{.Version}}' k8s.io/kubernetes)
export KIP_KUBERNETES

trap 'hack/local-cluster.sh down --name "$cluster"' EXIT
hack/local-cluster.sh up --name "$cluster" --oldest
set -a
eval "$(hack/local-cluster.sh env --name "$cluster")"
set +a
export KIP_CLUSTER=$cluster PATH=$KIP_TOOLS:$PATH

log=$(mktemp)
cargo test --locked --workspace --test puller -- --test-threads="${KIP_E2E_THREADS:-3}" --nocapture --exact "${tests[@]}" 2>&1 | tee "$log"
# A test that was renamed would be missed by nobody else.
grep -q "^test result: ok. ${#tests[@]} passed" "$log" || { say "not all ${#tests[@]} tests of this script's list were there"; exit 1; }
rm "$log"
say "${#tests[@]} tests passed on Kubernetes $KIP_KUBERNETES"

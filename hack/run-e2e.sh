#!/usr/bin/env bash
# The end-to-end tests on a real cluster: kind where kind and a Docker engine are there, else the local cluster
# (hack/local-cluster.sh), which needs root and no Docker.
#
#   hack/run-e2e.sh                 makes the cluster if it is not there, runs every test, leaves the cluster
#   hack/run-e2e.sh --rm            removes the cluster afterwards, also when a test fails
#   hack/run-e2e.sh [--rm] NAME …   only the tests whose names contain one of these
#   hack/run-e2e.sh --of WHAT …     only the tests of this: puller, cloner or plugin; several with commas. Or crio, alone: what
#                                   puller and plugin do on a node of CRI-O, which is built first (some 4 minutes, once);
#                                   these tests run only so
#   hack/run-e2e.sh --down          only removes the cluster
#
# KIP_E2E_THREADS: how many run side by side (default: 4). All of a program's tests begin at once and wait for their turn; those
# that need the cluster for themselves come last. A line `lab: …` tells how long each took without waiting.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cluster=k8s-image-puller-e2e
registry_container=$cluster-registry
remove=
down=
names=()
parts=puller,cloner,plugin
while [ $# -gt 0 ]; do
  case $1 in
    --rm) remove=yes ;;
    --down) down=yes ;;
    --of) parts=${2:-}; shift ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "run-e2e: there is no option $1 (see --help)" >&2; exit 64 ;;
    *) names+=("$1") ;;
  esac
  shift
done

say() { printf 'run-e2e: %s\n' "$*" >&2; }

# The plugin's come last: test.sh builds it beside the others.
known=,puller,cloner,plugin,
[ "$parts" != crio ] || known=,crio,
for part in ${parts//,/ }; do
  [[ $known == *",$part,"* ]] || { say "--of '$part': puller, cloner and plugin are known, and crio alone, for example --of puller,cloner"; exit 64; }
done
tests=()
[[ ,$parts, != *,puller,* ]] || tests+=(--test puller)
[[ ,$parts, != *,cloner,* ]] || tests+=(--test cloner)
[[ ,$parts, != *,plugin,* ]] || tests+=(--test pull)
[ "$parts" != crio ] || tests+=(--test puller --test pull)
[ ${#tests[@]} -gt 0 ] || { say "--of: nothing is named"; exit 64; }

has_kind() { command -v kind >/dev/null && docker info >/dev/null 2>&1; }

# The registry is known under one name to this machine and to the nodes, as kind's documentation of a local
# registry has it.
up_kind() {
  kind get clusters 2>/dev/null | grep -qx "$cluster" || kind create cluster --name "$cluster" --wait 120s --config=- <<'CONFIG'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}]
containerdConfigPatches:
- |-
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
CONFIG
  docker inspect "$registry_container" >/dev/null 2>&1 ||
    docker run --detach --name "$registry_container" --network kind --publish 127.0.0.1:5001:5000 registry:2 >/dev/null
  local node host
  for node in $(kind get nodes --name "$cluster"); do
    for host in localhost:5001 docker.io; do
      docker exec "$node" mkdir -p "/etc/containerd/certs.d/$host"
      docker exec --interactive "$node" cp /dev/stdin "/etc/containerd/certs.d/$host/hosts.toml" <<<"[host.\"http://$registry_container:5000\"]"
    done
  done
  KUBECONFIG=$(mktemp)
  kind get kubeconfig --name "$cluster" >"$KUBECONFIG"
  export KUBECONFIG KIP_REGISTRY=localhost:5001
}

down_kind() {
  kind delete cluster --name "$cluster"
  docker rm --force "$registry_container" >/dev/null
}

up_local() {
  hack/local-cluster.sh up --name "$cluster" --nodes 2
  read_env
  # A run that was killed leaves it.
  if has_crio_node; then
    remove_crio_node
    read_env
  fi
  export KIP_CLUSTER=$cluster PATH=$KIP_TOOLS:$PATH
}

read_env() {
  set -a
  eval "$(hack/local-cluster.sh env --name "$cluster")"
  set +a
}

# The tests count the nodes, so the one of CRI-O is there only while its own tests run.
crio_node=crio-1
has_crio_node() { [ -d "$KIP_CLUSTER_DIR/n/$crio_node" ]; }
remove_crio_node() { hack/local-cluster.sh remove-node $crio_node --name "$cluster"; }
add_crio_node() {
  trap end_of_crio EXIT
  hack/local-cluster.sh add-node $crio_node --runtime crio --name "$cluster"
  [ ${#names[@]} -gt 0 ] || names=(crio::)
  names+=(--ignored)
}
end_of_crio() {
  if [ -n "$remove" ]; then
    down_local
  elif has_crio_node; then
    remove_crio_node
  fi
}

down_local() { hack/local-cluster.sh down --name "$cluster"; }

if has_kind; then kind_of=kind; else kind_of=local; fi
if [ -n "$down" ]; then
  "down_$kind_of"
  exit
fi
say "cluster $cluster: $kind_of"
[ "$parts" != crio ] || [ $kind_of = local ] || { say "kind: these tests need the local cluster"; exit 1; }
if [ -n "$remove" ]; then trap '"down_$kind_of"' EXIT; fi

[ -n "${KIP_E2E_SKIP_BUILD:-}" ] || { hack/build.sh && hack/build.sh --of plugin; }
"up_$kind_of"
for program in puller cloner; do hack/image.sh --of "$program" --push "$KIP_REGISTRY"; done
# A cluster that was left by an earlier run has an older build under the same tag.
if [ "$kind_of" = local ]; then
  for node in $KIP_NODES; do
    stale=$(hack/local-cluster.sh ctr --name "$cluster" "$node" images ls -q 'name~="library/(kubernetes-image-puller|image-cloner)"')
    # shellcheck disable=SC2086  # one word for each image
    [ -z "$stale" ] || hack/local-cluster.sh ctr --name "$cluster" "$node" images rm $stale >/dev/null
  done
fi

[ "$parts" != crio ] || add_crio_node

skip=()
if [ "$kind_of" = kind ]; then
  # These stop parts of the cluster, read its containerd and its logs, or need an API of Kubernetes 1.36.
  skip=(--skip faults:: --skip lifecycle:: --skip install:: --skip openshift:: --skip rights:: --skip troubles:: --skip made_again_within_a_second)
  # Those of the image cloner have registries of their own, which the nodes are told about; those of the plugin need a node that
  # keeps layers and one that throws them away.
  [[ " ${tests[*]} " == *" puller "* ]] || { say "kind: these tests need the local cluster"; exit 1; }
  tests=(--test puller)
  say "not run on kind: ${skip[*]//--skip/} and the tests of the image cloner and the plugin"
fi
# What a failed test tells of the cluster is what counts; anyhow's backtrace in front of it is forty lines of async machinery.
export RUST_LIB_BACKTRACE=${RUST_LIB_BACKTRACE:-0}
cargo test --locked --workspace "${tests[@]}" -- --test-threads=500 --nocapture "${skip[@]}" "${names[@]}"

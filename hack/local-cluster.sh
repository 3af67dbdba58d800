#!/usr/bin/env bash
# A real Kubernetes on this machine, without Docker: for the demo and the tests. See `help`.
# shellcheck source-path=SCRIPTDIR
#
# Nodes are network namespaces; every name, address, folder and cgroup follows from the cluster's name, so
# that clusters run side by side. Parts: hack/local-cluster/*.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/local-cluster/process.sh"
. "$here/local-cluster/host.sh"
. "$here/local-cluster/pki.sh"
. "$here/local-cluster/control-plane.sh"
. "$here/local-cluster/node.sh"
. "$here/local-cluster/crio.sh"

service_range=10.96.0.0/16
service_address=10.96.0.1
cluster_dns=10.96.0.10
# MiB
least_disk=2048

usage() {
  cat <<'EOF'
hack/local-cluster.sh VERB [--name NAME] …      a local Kubernetes; NAME is `demo` unless given

  up [--nodes N]        boots it: control plane, registry, N nodes (default 2); on a running one: says so
  up --oldest           boots the control plane of the oldest Kubernetes that is tested, without nodes
  down                  ends it and removes every trace
  status                one line for each component and node
  env                   KEY='value' lines for a shell: KUBECONFIG KIP_REGISTRY KIP_TOOLS KIP_CLUSTER_DIR
                        KIP_NODES KIP_AUDIT_LOG KIP_REGISTRY_LOG
  stop COMPONENT        kills one, as a crash would, and waits until it is gone and its port free
  start COMPONENT       starts it again and waits until it serves
                        etcd apiserver controller-manager scheduler registry
                        kubelet:NODE kube-proxy:NODE containerd:NODE or crio:NODE
  add-node NODE         a node joins; with --runtime crio one of CRI-O, which is built first
  remove-node NODE      a node leaves
  ctr NODE ARGUMENT…    containerd's command line on a node (namespace k8s.io)
  help                  this text

Images: push to KIP_REGISTRY over plain HTTP (skopeo copy --dest-tls-verify=false …); the nodes see the same
registry as KIP_REGISTRY and as docker.io. Nothing else can be reached from the nodes.
KIP_STATE_DIR: where clusters are kept (default /var/lib/kip-local-cluster). Root and Linux are needed.
EOF
}

say() { printf 'local-cluster: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

started_at=${EPOCHREALTIME/./}
step() {
  local tenths=$(((${EPOCHREALTIME/./} - started_at) / 100000))
  say "$(printf '%3d.%d s' $((tenths / 10)) $((tenths % 10)))  $*"
}

kubectl() { "$tools/kubectl" --kubeconfig="$dir/kubeconfig" --request-timeout=10s "$@"; }

find_tools() {
  if [ -r "$dir/tools" ]; then tools=$(<"$dir/tools"); else tools=$("$here/tools/build.sh"); fi
  if [ -r "$dir/kubernetes" ]; then kubernetes=$(<"$dir/kubernetes"); else kubernetes=$tools; fi
}

# One up, down, add-node or remove-node of a cluster at a time.
lock_cluster() { hold_lock "$claims/.lock-$name"; }

need_cluster() {
  { read_claim && [ -e "$dir/ready" ]; } || fail "no cluster '$name' is up; start it with: hack/local-cluster.sh up --name $name"
  find_tools
}

components() {
  local node program
  printf '%s\n' "${control_plane[@]}"
  for node in $(nodes); do
    for program in $(programs_of "$node"); do echo "$program:$node"; done
  done
}

# condition: running | stopped (some component, by `stop`) | broken (remains of a crash) | absent
condition() {
  local component result=running
  read_claim || { [ -e "$dir" ] && echo broken || echo absent; return; }
  [ -e "$dir/ready" ] || { echo broken; return; }
  for component in $(components); do
    if [ -e "$dir/stopped/$component" ]; then result=stopped; elif ! alive "$component"; then echo broken; return; fi
  done
  echo $result
}

check_component() {
  [[ " $(components | xargs) " == *" $1 "* ]] || fail "no component '$1'; there are: $(components | xargs)"
}

# start COMPONENT, and wait until it serves.
start_component() {
  check_component "$1"
  if alive "$1"; then
    say "$1 runs already"
    return
  fi
  case $1 in
    *:*) start_on_node "${1%%:*}" "${1#*:}" && await_on_node "${1%%:*}" "${1#*:}" ;;
    *) start_control_plane "$1" && await_control_plane "$1" ;;
  esac
  # An API server needs some seconds to find etcd again.
  if [ "$1" = etcd ] && alive apiserver; then await_control_plane apiserver; fi
}

up() {
  local component
  check_host
  lock_cluster
  case $(condition) in
    running) say "cluster '$name' is running already with the nodes $(nodes | xargs); add-node and remove-node change that"; return ;;
    stopped)
      need_cluster
      for component in $(components); do
        [ ! -e "$dir/stopped/$component" ] || { start_component "$component"; step "$component was stopped; it serves again"; }
      done
      return
      ;;
    broken) step "removing the remains of a cluster '$name' that is not whole"; clear_cluster ;;
  esac
  check_disk
  install_packages
  boot
}

boot() {
  local node number component
  local -a node_list=()
  jobs=()
  tools=$("$here/tools/build.sh")
  kubernetes=$tools
  [ -z "$oldest" ] || kubernetes=$("$here/tools/oldest/build.sh")
  trap end_jobs EXIT
  with_claims claim
  read_claim
  mkdir -p "$dir"/{pids,logs,stopped,n}
  echo "$tools" >"$dir/tools"
  echo "$kubernetes" >"$dir/kubernetes"
  step "cluster '$name' in $dir, at $address"
  make_bridge
  make_control_plane_credentials
  write_control_plane_files
  start_control_plane etcd
  start_control_plane registry
  make_pause_archive
  for ((number = 1; number <= node_count; number++)); do
    node=node-$number node_list+=("node-$number")
    check_node_name "$node"
    new_node "$node" containerd
    make_node_network "$node"
  done
  for node in "${node_list[@]}"; do prepare_node "$node" & jobs+=($!); done
  await_control_plane etcd
  start_control_plane apiserver
  step "etcd serves; nodes and API server are starting"
  await_control_plane apiserver
  step "API server is ready"
  start_control_plane controller-manager
  start_control_plane scheduler
  for number in "${jobs[@]}"; do wait "$number" || fail "a node could not be prepared"; done
  jobs=()
  for node in "${node_list[@]}"; do join_node "$node"; done
  for component in "${control_plane[@]}"; do await_control_plane "$component"; done
  wait_for 120 "the default ServiceAccount" kubectl -n default get serviceaccount default
  step "control plane and registry $registry serve"
  for node in "${node_list[@]}"; do
    await_node "$node"
    step "$node is Ready"
  done
  : >"$dir/ready"
  step "done; for your shell: eval \"\$(hack/local-cluster.sh env --name $name)\" && export KUBECONFIG"
}

# Whatever ends the boot: no half of it may go on alone while somebody cleans up.
end_jobs() {
  [ ${#jobs[@]} -gt 0 ] || return 0
  kill "${jobs[@]}" 2>/dev/null || true
  wait "${jobs[@]}" || true
}

clear_cluster() {
  local node
  # Without a claim (after a reboot) only the folder is left.
  read_claim || { cluster_number=0 bridge=kip0 address=; }
  tools=$(cat "$dir/tools" 2>/dev/null || echo /nowhere)
  kubernetes=$(cat "$dir/kubernetes" 2>/dev/null || echo "$tools")
  rm -f "$dir/ready"
  end_components "${control_plane[@]}"
  for node in $(nodes); do clear_node "$node"; done
  end_leftovers "$dir"
  empty_cgroup "kip-$name"
  remove_bridge
  remove_folder "$dir"
  rmdir "$(dirname "$dir")" 2>/dev/null || true
  with_claims release_claim
}

down() {
  check_host
  lock_cluster
  if [ "$(condition)" = absent ]; then
    with_claims release_claim
    say "no cluster '$name' is here"
  else
    clear_cluster
    step "cluster '$name' is gone"
  fi
  rm -f "$claims/.lock-$name"
  rmdir "$claims" 2>/dev/null || true
}

stop_component() {
  check_component "$1"
  [[ $1 != mounts:* ]] || fail "$1 holds what crio and kubelet of a node see; it ends with the node"
  : >"$dir/stopped/$1"
  end_components "$1"
  # The port of a server is free when nobody accepts on it.
  case $1 in *:*) ;; *) wait_for 60 "port $(port_of "$1") to be free" port_is_free "$(port_of "$1")" ;; esac
  step "$1 is stopped"
}

port_is_free() { [ -z "$(ss -Hltn "src $address and sport = :$1")" ]; }

add_node() {
  check_node_name "$1"
  [ "$kubernetes" = "$tools" ] || fail "a node's kubelet must not be newer than the API server: '$name' has the oldest one, and no nodes"
  lock_cluster
  [ ! -e "$dir/n/$1" ] || fail "node '$1' is there already"
  [ "$runtime" = containerd ] || install_crio
  half_made=$1
  trap 'clear_node "$half_made"; kubectl delete node "$half_made" --ignore-not-found >/dev/null' EXIT
  new_node "$1" "$runtime"
  make_node_network "$1"
  prepare_node "$1"
  join_node "$1"
  await_node "$1"
  trap - EXIT
  step "$1 is Ready"
}

need_node() { [[ " $(nodes | xargs) " == *" $1 "* ]] || fail "no node '$1'; there are: $(nodes | xargs)"; }

remove_node() {
  lock_cluster
  need_node "$1"
  clear_node "$1"
  kubectl delete node "$1" --ignore-not-found >/dev/null || say "the Node object '$1' could not be deleted; the rest of it is gone"
  step "$1 is gone"
}

print_env() {
  printf "%s='%s'\n" KUBECONFIG "$dir/kubeconfig" KIP_REGISTRY "$registry" KIP_TOOLS "$tools" KIP_CLUSTER_DIR "$dir" \
    KIP_NODES "$(nodes | xargs)" KIP_AUDIT_LOG "$dir/logs/audit.log" KIP_REGISTRY_LOG "$dir/logs/registry-access.log"
}

status() {
  local component state
  for component in $(components); do
    if [ -e "$dir/stopped/$component" ]; then state=stopped; else state=$(pid_of "$component") && state="running, process $state" || state=dead; fi
    printf '%-28s %s\n' "$component" "$state"
  done
  for component in $(nodes); do
    state=unknown
    node_is_ready "$component" 2>/dev/null && state=Ready || state=NotReady
    printf '%-28s %s, %s\n' "$component" $state "$(address_of_slot "$(slot_of "$component")")"
  done
}

verb=${1:-help}
[ $# -eq 0 ] || shift
name=demo node_count=2 runtime=containerd oldest=
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --name) name=${2:-}; shift ;;
    --name=*) name=${1#*=} ;;
    --nodes) node_count=${2:-}; shift ;;
    --nodes=*) node_count=${1#*=} ;;
    --runtime) runtime=${2:-}; shift ;;
    --runtime=*) runtime=${1#*=} ;;
    --oldest) oldest=yes node_count=0 ;;
    *)
      arguments+=("$1")
      # What follows the node belongs to ctr.
      if [ "$verb" = ctr ]; then arguments+=("${@:2}"); break; fi
      ;;
  esac
  shift || fail "an option at the end lacks its value"
done
[[ $name =~ ^[a-z][-a-z0-9]{0,19}$ ]] || fail "--name '$name': up to 20 small letters, digits and '-', for example 'demo'"
[[ $node_count =~ ^[0-9]{1,2}$ ]] || fail "--nodes '$node_count': a number up to 99, for example 2"
[[ " ${runtimes[*]} " == *" $runtime "* ]] || fail "--runtime '$runtime': it is one of ${runtimes[*]}"
[ "$runtime" = containerd ] || [ "$verb" = add-node ] || fail "--runtime '$runtime': it is for add-node"
[ -z "$oldest" ] || [ "$node_count" = 0 ] || fail "--oldest has no nodes: their kubelets would be newer than the API server"
dir=${KIP_STATE_DIR:-/var/lib/kip-local-cluster}/$name

case $verb in
  up) up ;;
  down) down ;;
  env) need_cluster && print_env ;;
  status) need_cluster && status ;;
  stop) need_cluster && stop_component "${arguments[0]:-}" ;;
  start) need_cluster && start_component "${arguments[0]:-}" && step "${arguments[0]} serves" ;;
  add-node) need_cluster && add_node "${arguments[0]:-}" ;;
  remove-node) need_cluster && remove_node "${arguments[0]:-}" ;;
  ctr) need_cluster && need_node "${arguments[0]:-}" && node_ctr "${arguments[@]}" ;;
  help | --help | -h) usage ;;
  *) usage >&2; fail "no verb '$verb'" ;;
esac

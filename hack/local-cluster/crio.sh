# shellcheck shell=bash disable=SC2154 # variables are shared with hack/local-cluster.sh
# A node whose runtime is CRI-O instead of containerd. Sourced by hack/local-cluster.sh.
#
# CRI-O takes a folder with its storage into a pod only where mounts spread, as they do on machines with systemd. So it and the
# node's kubelet see the mounts of a namespace, which `mounts` holds.

install_crio() {
  local crio
  local -a missing=()
  command -v conmon >/dev/null || missing+=(conmon)
  pkg-config --exists libseccomp 2>/dev/null || missing+=(pkg-config libseccomp-dev)
  install_missing "${missing[@]}"
  crio=$("$here/tools/crio/build.sh")
  echo "$crio" >"$dir/crio"
}

write_crio_files() { # NODE
  local node=$1 n=$dir/n/$1 host
  mkdir -p "$n/home/.config/containers"
  # As for containerd: the local registry stands in for Docker Hub.
  {
    echo 'unqualified-search-registries = ["docker.io"]'
    for host in "$registry" docker.io; do
      printf '[[registry]]\nprefix = "%s"\nlocation = "%s"\ninsecure = true\n' "$host" "$registry"
    done
  } >"$n/home/.config/containers/registries.conf"
  echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$n/policy.json"
  cat >"$n/crio.conf" <<EOF
[crio]
root = "$n/storage"
runroot = "$n/run/storage"
storage_driver = "overlay"
log_dir = "$n/run/logs"
version_file = "$n/run/version"
version_file_persist = "$n/version"
clean_shutdown_file = "$n/clean"
[crio.api]
listen = "$n/crio.sock"
stream_address = "$(address_of_slot "$(slot_of "$node")")"
stream_port = "0"
[crio.runtime]
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
default_runtime = "runc"
container_exits_dir = "$n/run/exits"
# Too long for a socket's path: nobody attaches here.
container_attach_socket_dir = "$n/run/attach"
namespaces_dir = "$n/run/namespaces"
pinns_path = "$(<"$dir/crio")/pinns"
hooks_dir = []
apparmor_profile = ""
[crio.runtime.runtimes.runc]
runtime_path = "$(command -v runc)"
runtime_root = "$n/run/runc"
monitor_path = "$(command -v conmon)"
[crio.image]
pause_image = "$registry/kip-pause:1"
pause_command = "/pause"
signature_policy = "$n/policy.json"
signature_policy_dir = "$n/policies"
namespaced_auth_dir = "$n/auth"
[crio.network]
network_dir = "$n/cni"
plugin_dirs = ["$(cni_folder)"]
[crio.nri]
enable_nri = false
EOF
}

# hold_mounts FOLDER PROGRAM: makes the namespace that it is in spread its mounts, but not to the rest of the machine, and holds it
# by a program that only sleeps. What CRI-O remembers of registries, it keeps in one place for all of a machine. With cgroups of
# version 1 the kernel names controllers that nobody has mounted, and CRI-O then sets limits that runc cannot set.
# shellcheck disable=SC2016,SC2034 # for the shell in the namespace; used by node.sh
hold_mounts='
  mount --make-rshared / &&
  mkdir -p "$1/cache" /var/lib/containers/cache &&
  mount --bind "$1/cache" /var/lib/containers/cache &&
  if grep -q "^hugetlb" /proc/cgroups && [ ! -e /sys/fs/cgroup/cgroup.controllers ] && [ ! -e /sys/fs/cgroup/hugetlb ]; then
    grep -v "^hugetlb" /proc/cgroups >"$1/cgroups" && mount --bind "$1/cgroups" /proc/cgroups
  fi &&
  exec "$2" "$1/"'

# in_mounts_of NODE: words before a command that shall see the node's mounts.
in_mounts_of() { echo "nsenter --mount=/proc/$(pid_of "mounts:$1")/ns/mnt --"; }

# Its program sleeps once all is mounted.
mounts_serve() { [ "/proc/$(pid_of "mounts:$1")/exe" -ef "$tools/pause" ]; } # NODE

crio_serves() { curl --silent --fail --max-time 5 --unix-socket "$dir/n/$1/crio.sock" http://localhost/info; } # NODE

prepare_crio() { # NODE
  write_crio_files "$1"
  start_on_node mounts "$1"
  await_on_node mounts "$1"
  # shellcheck disable=SC2046 # words
  $(in_mounts_of "$1") skopeo copy --quiet --dest-tls-verify=false "oci-archive:$dir/pause.tar" "docker://$registry/kip-pause:1" >/dev/null ||
    fail "the sandbox image could not be pushed for $1"
  start_on_node crio "$1"
  await_on_node crio "$1"
}

# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with hack/local-cluster.sh
# What a cluster needs of its host and gives back: packages, a claim to addresses, the bridge, cgroups,
# kernel settings. Sourced by hack/local-cluster.sh.

claims=/run/kip-local-cluster

check_host() {
  [ "$(uname -s)" = Linux ] || fail "a local cluster needs Linux: nodes are network namespaces; this is $(uname -s)"
  [ "$(id -u)" = 0 ] || fail "a local cluster needs root (network namespaces, mounts, cgroups); run it with sudo"
}

# check_disk: kubelet takes no pods on a disk that is nearly full, and all that one sees of it is that they stay pending.
check_disk() {
  local free
  mkdir -p "${dir%/*}"
  free=$(df --output=avail -BM "${dir%/*}" | tail -n 1 | tr -dc 0-9)
  [ "$free" -ge "$least_disk" ] ||
    fail "$free MiB are free where clusters are kept, ${dir%/*}, and nodes with images need $least_disk; make room, or say where there is some: KIP_STATE_DIR=/mnt/large"
}

# install_packages: what is missing of the Debian packages that the cluster uses.
install_packages() {
  local need program package registry_was=yes
  local -a missing=()
  command -v docker-registry registry >/dev/null || registry_was=no
  for need in runc:runc ip:iproute2 iptables:iptables curl:curl openssl:openssl skopeo:skopeo \
    docker-registry:docker-registry nsenter:util-linux mount:mount; do
    program=${need%:*} package=${need#*:}
    command -v "$program" >/dev/null || { [ "$program" = docker-registry ] && [ $registry_was = yes ]; } || missing+=("$package")
  done
  cni_folder >/dev/null || missing+=(containernetworking-plugins)
  install_missing "${missing[@]}"
  # The package starts a service of its own on every address, port 5000.
  if [ $registry_was = no ] && [ -d /run/systemd/system ]; then systemctl disable --quiet --now docker-registry || true; fi
}

install_missing() { # PACKAGE…
  [ $# -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "missing on this machine: $* (names of Debian packages); please install them"
  step "installing the Debian packages $*"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null ||
    fail "apt-get could not install $*"
}

cni_folder() {
  local folder
  for folder in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
    [ -x "$folder/bridge" ] && [ -x "$folder/host-local" ] && echo "$folder" && return
  done
  return 1
}

# hold_lock FILE: until this script ends, or `exec {lock}>&-`. A lock file that was removed meanwhile locks
# nothing: then again.
hold_lock() {
  while :; do
    mkdir -p "$claims"
    exec {lock}>"$1"
    flock "$lock"
    [ "$(stat -Lc %i "/proc/$$/fd/$lock")" != "$(stat -c %i "$1" 2>/dev/null)" ] || return 0
    exec {lock}>&-
  done
}

# with_claims COMMAND…: one script at a time looks at or changes the claims.
with_claims() {
  local lock
  hold_lock "$claims/.lock"
  "$@"
  exec {lock}>&-
}

# claim: a number of its own for this cluster; every address follows from it.
claim() {
  local other number
  if [ -e "$claims/$name" ]; then
    read -r number other <"$claims/$name"
    [ "$other" = "$dir" ] || fail "a cluster '$name' is kept in $other already; choose another --name"
    return 0
  fi
  save_host_settings
  for number in {1..99}; do
    grep -qs "^$number " "$claims"/* && continue
    # Somebody else's network (a VPN, say) may use the addresses.
    [ -z "$(ip -4 route show root "10.91.$number.0/24")$(ip -4 route show root "10.$((100 + number)).0.0/16")" ] || continue
    echo "$number $dir" >"$claims/$name"
    return 0
  done
  fail "99 clusters are claimed in $claims already; end one with 'down --name NAME'"
}

read_claim() {
  local number folder
  { read -r number folder <"$claims/$name"; } 2>/dev/null || return 1
  [ "$folder" = "$dir" ] || return 1
  cluster_number=$number
  bridge=kip$number
  address=10.91.$number.1
  registry=$address:5000
  pod_range=10.$((100 + number)).0.0/16
}

release_claim() {
  ! read_claim || rm -f "$claims/$name"
  # The last one restores what kubelets have changed. (.lock stays out of the pattern.)
  [ -z "$(ls "$claims")" ] || return 0
  restore_host_settings
  rm -f "$claims"/.host{,.new} "$claims/.lock"
}

# Settings of the whole machine that a kubelet changes, and folders that it and the CNI plugins make at
# fixed places.
kernel_settings=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)
fixed_folders=(/var/log/containers /var/lib/kubelet/device-plugins /var/lib/kubelet/plugins /var/lib/kubelet
  /var/lib/cni/results /var/lib/cni/cache /var/lib/cni /run/containerd/s /run/containerd
  /run/crio/seccomp /run/crio /var/lib/containers/cache /var/lib/containers)

save_host_settings() {
  local setting folder
  [ ! -e "$claims/.host" ] || return 0
  for setting in "${kernel_settings[@]}"; do
    [ ! -r "/proc/sys/$setting" ] || echo "setting $setting $(<"/proc/sys/$setting")"
  done >"$claims/.host.new"
  for folder in "${fixed_folders[@]}"; do
    [ -e "$folder" ] || echo "folder $folder"
  done >>"$claims/.host.new"
  mv "$claims/.host.new" "$claims/.host"
}

restore_host_settings() {
  local kind what value
  [ -e "$claims/.host" ] || return 0
  while read -r kind what value; do
    case $kind in
      setting) echo "$value" >"/proc/sys/$what" ;;
      folder)
        [ "$what" != /var/lib/kubelet/device-plugins ] || rm -f "$what"/{DEPRECATION,kubelet.sock}
        rmdir "$what" 2>/dev/null || true
        ;;
    esac
  done <"$claims/.host"
}

make_bridge() {
  ip link add "$bridge" type bridge
  ip address add "$address/24" dev "$bridge"
  ip link set "$bridge" up
  # Only where this host filters packets at all: let the nodes through.
  if ! iptables -S INPUT | cmp -s - <(echo "-P INPUT ACCEPT") || ! iptables -S FORWARD | cmp -s - <(echo "-P FORWARD ACCEPT"); then
    : >"$dir/firewall"
    iptables -w -I INPUT -i "$bridge" -m comment --comment "kip-$name" -j ACCEPT
    iptables -w -I FORWARD -i "$bridge" -o "$bridge" -m comment --comment "kip-$name" -j ACCEPT
  fi
}

remove_bridge() {
  if [ -e "$dir/firewall" ]; then
    iptables -w -D INPUT -i "$bridge" -m comment --comment "kip-$name" -j ACCEPT 2>/dev/null || true
    iptables -w -D FORWARD -i "$bridge" -o "$bridge" -m comment --comment "kip-$name" -j ACCEPT 2>/dev/null || true
  fi
  ip link delete "$bridge" 2>/dev/null || true
}

# make_cgroup PATH: below each hierarchy (cgroup v1) or the only one (v2), with what kubelet needs set.
make_cgroup() {
  local hierarchy parent part file
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    parent=/sys/fs/cgroup
    for part in ${1//\// }; do
      for file in cpuset cpu io memory hugetlb pids; do echo "+$file" >"$parent/cgroup.subtree_control" 2>/dev/null || true; done
      parent=$parent/$part
      mkdir -p "$parent"
    done
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    parent=${hierarchy%/}
    for part in ${1//\// }; do
      mkdir -p "$parent/$part"
      # A new cpuset has neither processors nor memory, and takes no process.
      for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$parent/$file" ] || cat "$parent/$file" >"$parent/$part/$file"
      done
      parent=$parent/$part
    done
  done
}

# empty_cgroup PATH: ends what runs in it and removes it.
empty_cgroup() {
  local folder
  local -a pids
  for folder in "/sys/fs/cgroup/$1" /sys/fs/cgroup/*/"$1"; do
    [ -d "$folder" ] || continue
    mapfile -t pids < <(find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un)
    end_pids "${pids[@]}"
  done
  for folder in "/sys/fs/cgroup/$1" /sys/fs/cgroup/*/"$1"; do
    [ -d "$folder" ] || continue
    # The kernel may hold a cgroup for a moment after its last process.
    wait_for 20 "cgroup $folder to be removed" remove_cgroup "$folder"
  done
}

remove_cgroup() {
  find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
  [ ! -d "$1" ]
}

# unmount_below FOLDER: whatever is mounted there, the newest first.
unmount_below() {
  local mount
  while read -r mount; do
    umount -l -- "$mount" 2>/dev/null || true
  done < <(awk -v below="$1/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac)
}

remove_folder() {
  unmount_below "$1"
  rm -rf --one-file-system -- "$1"
}

# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with hack/local-cluster.sh
# A node: a network namespace with a runtime (containerd, or CRI-O: crio.sh), kubelet and kube-proxy. Sourced by
# hack/local-cluster.sh.

runtimes=(containerd crio)
pause_image=localhost/kip-pause:1

nodes() { [ ! -d "$dir/n" ] || ls "$dir/n"; }

check_node_name() {
  [[ $1 =~ ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$ ]] || fail "node name '$1': small letters, digits and '-' only, for example 'node-3'"
  # The longest path of a socket below a node's folder; the kernel takes 107 bytes.
  local longest=$dir/n/$1/kubelet/pod-resources/kubelet.sock
  [ ${#longest} -le 107 ] || fail "node name '$1': $((${#longest} - 107)) letters too long for the sockets below $dir"
}

netns_of() { echo "kip-$name-$1"; }

# slot_of NODE: its number in this cluster; its addresses follow from it.
slot_of() { cat "$dir/n/$1/slot"; }
address_of_slot() { echo "10.91.$cluster_number.$((10 + $1))"; }
pods_of_slot() { echo "10.$((100 + cluster_number)).$1.0/24"; }

new_node() { # NODE RUNTIME: takes the lowest free slot
  local slot=1
  while grep -qsx "$slot" "$dir"/n/*/slot; do slot=$((slot + 1)); done
  [ $slot -le 200 ] || fail "a cluster has at most 200 nodes"
  mkdir -p "$dir/n/$1"
  echo $slot >"$dir/n/$1/slot"
  echo "$2" >"$dir/n/$1/runtime"
}

# runtime_of NODE; a half-made one may have none yet.
runtime_of() { cat "$dir/n/$1/runtime" 2>/dev/null || echo containerd; }

# programs_of NODE: in the order in which they start.
programs_of() {
  case $(runtime_of "$1") in
    containerd) echo containerd ;;
    crio) echo mounts crio ;;
  esac
  echo kubelet kube-proxy
}

make_node_network() { # NODE
  local netns slot node_address other
  netns=$(netns_of "$1") slot=$(slot_of "$1")
  node_address=$(address_of_slot "$slot")
  ip netns add "$netns"
  ip link add "${bridge}n$slot" type veth peer name eth0 netns "$netns"
  ip link set "${bridge}n$slot" master "$bridge" up
  ip -n "$netns" link set lo up
  ip -n "$netns" link set eth0 up
  ip -n "$netns" address add "$node_address/24" dev eth0
  ip -n "$netns" route add default via "$address"
  nsenter --net="/run/netns/$netns" sh -c '
    echo 1 >/proc/sys/net/ipv4/ip_forward
    [ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables'
  ip route add "$(pods_of_slot "$slot")" via "$node_address" dev "$bridge"
  # Pods of other nodes directly: this host then need not forward.
  for other in $(nodes); do
    if [ "$other" = "$1" ] || [ ! -e "/run/netns/$(netns_of "$other")" ]; then continue; fi
    ip -n "$netns" route replace "$(pods_of_slot "$(slot_of "$other")")" via "$(address_of_slot "$(slot_of "$other")")"
    ip -n "$(netns_of "$other")" route replace "$(pods_of_slot "$slot")" via "$node_address"
  done
}

write_node_files() { # NODE
  local node=$1 n=$dir/n/$1 slot
  slot=$(slot_of "$1")
  mkdir -p "$n"/{cni,kubelet,pod-logs,volume-plugins}
  cat >"$n/cni/10-kip.conflist" <<EOF
{"cniVersion": "1.0.0", "name": "$bridge-$node", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$n/cni-data", "ranges": [[{"subnet": "$(pods_of_slot "$slot")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
  cat >"$n/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $dir/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $dir/pki/node-$node.crt
tlsPrivateKeyFile: $dir/pki/node-$node.key
containerRuntimeEndpoint: unix://$n/$(runtime_of "$node").sock
cgroupDriver: cgroupfs
cgroupRoot: /kip-$name/$node
failCgroupV1: false
failSwapOn: false
podLogsDir: $n/pod-logs
volumePluginDir: $n/volume-plugins
# There is no cluster DNS; the address only spares every pod a warning.
clusterDNS: [$cluster_dns]
clusterDomain: cluster.local
resolvConf: ""
nodeStatusUpdateFrequency: 2s
nodeStatusReportFrequency: 10s
registryPullQPS: 0
# A developer's disk is often nearly full, and shares of it, as by default, would taint the node; see check_disk.
evictionHard: {memory.available: 50Mi, nodefs.available: 100Mi, nodefs.inodesFree: 1%, imagefs.available: 100Mi, imagefs.inodesFree: 1%}
EOF
}

write_containerd_files() { # NODE
  local n=$dir/n/$1 slot host
  slot=$(slot_of "$1")
  # The local registry stands in for Docker Hub, so that short image names work here as they will elsewhere.
  for host in "$registry" docker.io; do
    mkdir -p "$n/registries/$host"
    cat >"$n/registries/$host/hosts.toml" <<EOF
server = "http://$registry"
[host."http://$registry"]
capabilities = ["pull", "resolve"]
EOF
  done
  # Every second node throws the layers of images away once they are unpacked, as those of EKS, GKE and kind do.
  local discard=false
  [ $((slot % 2)) = 1 ] || discard=true
  # restrict_oom_score_adj: in a container or a small virtual machine even root may not lower it.
  cat >"$n/containerd.toml" <<EOF
version = 3
root = "$n/containerd"
state = "$n/run"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
address = "$n/containerd.sock"
[ttrpc]
address = "$n/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "$n/opt"
[plugins."io.containerd.cri.v1.images"]
discard_unpacked_layers = $discard
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "$pause_image"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "$n/registries"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["$(cni_folder)"]
conf_dir = "$n/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "$(command -v runc)"
Root = "$n/runc"
EOF
}

# make_pause_archive: an OCI archive of one layer with one static program, so that sandboxes need no registry.
make_pause_archive() {
  local work=$dir/pause architecture layer diff config manifest
  [ ! -e "$dir/pause.tar" ] || return 0
  case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac
  mkdir -p "$work/blobs/sha256"
  put() { # TEXT: stores it as a blob, prints digest and size
    local digest
    digest=$(printf %s "$1" | sha256sum | cut -d' ' -f1)
    printf %s "$1" >"$work/blobs/sha256/$digest"
    echo "\"digest\": \"sha256:$digest\", \"size\": ${#1}"
  }
  tar -C "$tools" --owner=0 --group=0 --mtime=@0 -cf "$work/layer" pause
  diff=$(sha256sum <"$work/layer" | cut -d' ' -f1)
  layer="\"digest\": \"sha256:$diff\", \"size\": $(stat -c %s "$work/layer")"
  mv "$work/layer" "$work/blobs/sha256/$diff"
  config=$(put "{\"architecture\": \"$architecture\", \"os\": \"linux\", \"config\": {\"Entrypoint\": [\"/pause\"], \"User\": \"65535:65535\"}, \"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"sha256:$diff\"]}}")
  manifest=$(put "{\"schemaVersion\": 2, \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\", \"config\": {\"mediaType\": \"application/vnd.oci.image.config.v1+json\", $config}, \"layers\": [{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar\", $layer}]}")
  echo "{\"schemaVersion\": 2, \"manifests\": [{\"mediaType\": \"application/vnd.oci.image.manifest.v1+json\", $manifest, \"annotations\": {\"io.containerd.image.name\": \"$pause_image\"}}]}" >"$work/index.json"
  echo '{"imageLayoutVersion": "1.0.0"}' >"$work/oci-layout"
  tar -C "$work" -cf "$dir/pause.tar" oci-layout index.json blobs
  rm -r "$work"
}

node_ctr() { # NODE ARGUMENT…
  local node=$1
  shift
  [ "$(runtime_of "$node")" = containerd ] || fail "'$node' has no containerd but $(runtime_of "$node")"
  "$tools/ctr" --address "$dir/n/$node/containerd.sock" --namespace k8s.io "$@"
}

start_on_node() { # PROGRAM NODE
  local n=$dir/n/$2
  case $1 in
    mounts) set -- "$@" unshare --mount --propagation slave sh -c "$hold_mounts" sh "$n" "$tools/pause" ;;
    crio)
      # shellcheck disable=SC2046 # words
      set -- "$@" $(in_mounts_of "$2") env HOME="$n/home" "$(<"$dir/crio")/crio" --config "$n/crio.conf" --config-dir "$n/none"
      ;;
    containerd) set -- "$@" "$tools/containerd" --config="$n/containerd.toml" ;;
    kubelet)
      # shellcheck disable=SC2046 # words
      [ "$(runtime_of "$2")" = containerd ] || set -- "$@" $(in_mounts_of "$2")
      set -- "$@" "$tools/kubelet" --config="$n/kubelet.yaml" --kubeconfig="$dir/pki/node-$2.kubeconfig" --root-dir="$n/kubelet" \
        --cert-dir="$n/kubelet/pki" --hostname-override="$2" --node-ip="$(address_of_slot "$(slot_of "$2")")"
      ;;
    kube-proxy) # the conntrack limits belong to the whole machine: left as they are
      set -- "$@" "$tools/kube-proxy" --kubeconfig="$dir/pki/kube-proxy.kubeconfig" --proxy-mode=iptables --cluster-cidr="$pod_range" \
        --hostname-override="$2" --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
      ;;
  esac
  launch "$1:$2" "$(netns_of "$2")" "${@:3}"
}

node_serves() { # PROGRAM NODE
  case $1 in
    containerd) node_ctr "$2" version ;;
    crio) crio_serves "$2" ;;
    mounts) mounts_serve "$2" ;;
    kubelet) nsenter --net="/run/netns/$(netns_of "$2")" curl --silent --fail --noproxy '*' --max-time 5 http://127.0.0.1:10248/healthz ;;
    kube-proxy) curl --silent --fail --noproxy '*' --max-time 5 "http://$(address_of_slot "$(slot_of "$2")"):10256/livez" ;;
  esac
}

await_on_node() { # PROGRAM NODE
  local watch_component=$1:$2
  wait_for 120 "$1 of $2 to serve" node_serves "$1" "$2"
}

# prepare_node NODE: everything but kubelet and kube-proxy, which want an API server.
prepare_node() {
  local node=$1
  write_node_files "$node"
  make_cgroup "kip-$name/$node"
  identity_of "node-$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$(address_of_slot "$(slot_of "$node")")"
  "prepare_$(runtime_of "$node")" "$node"
}

prepare_containerd() { # NODE
  write_containerd_files "$1"
  start_on_node containerd "$1"
  await_on_node containerd "$1"
  node_ctr "$1" images import "$dir/pause.tar" >>"$(log_of "containerd:$1")" 2>&1 ||
    fail_with_log "containerd:$1" "the sandbox image could not be loaded on $1"
}

join_node() {
  start_on_node kubelet "$1"
  start_on_node kube-proxy "$1"
}

node_is_ready() { [ "$(kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }

await_node() {
  local watch_component=kubelet:$1
  wait_for 120 "node $1 to be Ready" node_is_ready "$1"
}

# clear_node NODE: ends and removes all of it on this host; works on a half-made one.
clear_node() {
  local node=$1 n=$dir/n/$1 program slot
  local -a components=()
  slot=$(slot_of "$node" 2>/dev/null || true)
  for program in $(programs_of "$node"); do components+=("$program:$node"); done
  end_components "${components[@]}"
  end_leftovers "$n"
  empty_cgroup "kip-$name/$node"
  # Shims listen outside the node's folder; what they wrote down names the socket.
  { grep -rhos --include=bootstrap.json '/run/containerd/s/[0-9a-f]*' "$n/run" || true; } | xargs -r rm -f
  find /var/log/containers -maxdepth 1 -lname "$n/*" -delete 2>/dev/null || true
  { grep -lsF -- "$n/" /var/lib/cni/results/* || true; } | xargs -r rm -f
  unmount_below "$n"
  ip netns delete "$(netns_of "$node")" 2>/dev/null || true
  ip route delete "$(pods_of_slot "$slot")" dev "$bridge" 2>/dev/null || true
  ip link delete "${bridge}n$slot" 2>/dev/null || true
  remove_folder "$n"
}

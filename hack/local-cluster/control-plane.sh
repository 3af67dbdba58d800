# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with hack/local-cluster.sh
# etcd, API server, controller manager, scheduler, registry: their files, arguments and probes.
# Sourced by hack/local-cluster.sh. All of them listen on the bridge's address only.

control_plane=(etcd apiserver controller-manager scheduler registry)

write_control_plane_files() {
  cat >"$dir/audit-policy.yaml" <<'EOF'
apiVersion: audit.k8s.io/v1
kind: Policy
# Every other stage carries requestReceivedTimestamp too.
omitStages: [RequestReceived]
rules:
- level: Metadata
EOF
  # No blob descriptor cache: it would remember what a test has deleted.
  cat >"$dir/registry.yaml" <<EOF
version: 0.1
log: {level: info}
storage:
  filesystem: {rootdirectory: $dir/registry}
  delete: {enabled: true}
http:
  addr: $registry
  secret: $(openssl rand -hex 16)
EOF
}

# arguments_of COMPONENT: sets `command` to the program with its arguments. Those of Kubernetes come from a folder of
# their own, since they can be of another version; the arguments are for all versions.
arguments_of() {
  local pki=$dir/pki
  local -a serving=(--bind-address="$address" --tls-cert-file="$pki/serving.crt" --tls-private-key-file="$pki/serving.key")
  case $1 in
    etcd)
      command=("$tools/etcd" --name=kip --data-dir="$dir/etcd" --unsafe-no-fsync --quota-backend-bytes=8589934592
        --log-level=warn --listen-client-urls="https://$address:2379" --advertise-client-urls="https://$address:2379"
        --listen-peer-urls="https://$address:2380" --initial-advertise-peer-urls="https://$address:2380"
        --initial-cluster="kip=https://$address:2380"
        --cert-file="$pki/serving.crt" --key-file="$pki/serving.key" --trusted-ca-file="$pki/ca.crt" --client-cert-auth
        --peer-cert-file="$pki/serving.crt" --peer-key-file="$pki/serving.key" --peer-trusted-ca-file="$pki/ca.crt" --peer-client-cert-auth)
      ;;
    apiserver)
      # OwnerReferencesPermissionEnforcement is what OpenShift has on. The aggregator's routing makes the API
      # server call webhooks by the addresses of their pods: no kube-proxy serves this host.
      command=("$kubernetes/kube-apiserver" "${serving[@]}" --advertise-address="$address" --secure-port=6443
        --service-cluster-ip-range="$service_range" --allow-privileged
        --etcd-servers="https://$address:2379" --etcd-cafile="$pki/ca.crt" --etcd-certfile="$pki/serving.crt" --etcd-keyfile="$pki/serving.key"
        --client-ca-file="$pki/ca.crt" --token-auth-file="$pki/tokens.csv" --authorization-mode="Node,RBAC"
        --enable-admission-plugins="OwnerReferencesPermissionEnforcement,NodeRestriction"
        --service-account-issuer=https://kubernetes.default.svc
        --service-account-key-file="$pki/service-account.key" --service-account-signing-key-file="$pki/service-account.key"
        --kubelet-certificate-authority="$pki/ca.crt" --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key"
        --kubelet-preferred-address-types=InternalIP
        --enable-aggregator-routing --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"
        --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-
        --audit-policy-file="$dir/audit-policy.yaml" --audit-log-path="$dir/logs/audit.log" --audit-log-maxsize=200 --audit-log-maxbackup=1)
      ;;
    controller-manager) # the default of 20 requests a second would make its own start take five
      command=("$kubernetes/kube-controller-manager" "${serving[@]}" --kubeconfig="$pki/controller-manager.kubeconfig"
        --authentication-kubeconfig="$pki/controller-manager.kubeconfig" --authorization-kubeconfig="$pki/controller-manager.kubeconfig"
        --leader-elect=false --kube-api-qps=200 --kube-api-burst=300 --use-service-account-credentials --root-ca-file="$pki/ca.crt"
        --service-account-private-key-file="$pki/service-account.key"
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key")
      ;;
    scheduler)
      command=("$kubernetes/kube-scheduler" "${serving[@]}" --kubeconfig="$pki/scheduler.kubeconfig" --leader-elect=false
        --authentication-kubeconfig="$pki/scheduler.kubeconfig" --authorization-kubeconfig="$pki/scheduler.kubeconfig")
      ;;
    registry) command=("$(command -v docker-registry || command -v registry)" serve "$dir/registry.yaml") ;;
    *) fail "no component '$1'" ;;
  esac
}

port_of() {
  case $1 in
    etcd) echo 2379 ;;
    apiserver) echo 6443 ;;
    controller-manager) echo 10257 ;;
    scheduler) echo 10259 ;;
    registry) echo 5000 ;;
  esac
}

fetch() { curl --silent --fail --noproxy '*' --max-time 5 --cacert "$dir/pki/ca.crt" "$@"; }

serves() { # COMPONENT
  case $1 in
    etcd) fetch --cert "$dir/pki/serving.crt" --key "$dir/pki/serving.key" "https://$address:2379/health" ;;
    apiserver) fetch "https://$address:6443/readyz" ;;
    registry) fetch "http://$registry/v2/" ;;
    *) fetch "https://$address:$(port_of "$1")/healthz" ;;
  esac
}

start_control_plane() { # COMPONENT
  local -a command
  local launch_stdout=
  arguments_of "$1"
  # The registry writes requests to standard output, its own messages to standard error.
  [ "$1" != registry ] || launch_stdout=$dir/logs/registry-access.log
  launch "$1" "" "${command[@]}"
}

await_control_plane() { # COMPONENT
  local watch_component=$1
  wait_for 120 "$1 to serve" serves "$1"
}

# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with hack/local-cluster.sh
# Certificates and kubeconfig files. Sourced by hack/local-cluster.sh.

make_authority() {
  mkdir -p "$dir/pki"
  chmod 700 "$dir/pki"
  # openssl's own configuration differs from distribution to distribution; this is all that is needed of it.
  printf '[req]\ndistinguished_name = name\n[name]\n' >"$dir/pki/openssl.cnf"
  openssl_certificate ca "/CN=kip-$name" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  # Not genpkey: the API server reads the public half only from this older form of a key.
  openssl ecparam -genkey -noout -name prime256v1 -out "$dir/pki/service-account.key"
}

openssl_certificate() { # NAME SUBJECT ARGUMENT…
  local certificate=$1 subject=$2
  shift 2
  openssl req -x509 -config "$dir/pki/openssl.cnf" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -days 3650 -subj "$subject" -keyout "$dir/pki/$certificate.key" -out "$dir/pki/$certificate.crt" "$@" \
    2>"$dir/pki/openssl.log" || { cat "$dir/pki/openssl.log" >&2; fail "openssl could not make the certificate '$certificate' (version 3 is needed)"; }
}

issue() { # NAME SUBJECT ALTERNATIVE-NAMES
  openssl_certificate "$1" "$2" -CA "$dir/pki/ca.crt" -CAkey "$dir/pki/ca.key" \
    -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth,clientAuth \
    -addext "subjectAltName=$3"
}

write_kubeconfig() { # FILE CREDENTIALS-IN-YAML
  (
    umask 077
    cat >"$1" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: kip-$name
  cluster:
    server: https://$address:6443
    certificate-authority-data: $(base64 -w0 <"$dir/pki/ca.crt")
users:
- name: user
  user: {$2}
contexts:
- name: kip-$name
  context: {cluster: kip-$name, user: user}
current-context: kip-$name
EOF
  )
}

# identity_of NAME SUBJECT [ALTERNATIVE-NAMES]: a certificate and the kubeconfig that uses it,
# $dir/pki/NAME.kubeconfig.
identity_of() {
  issue "$1" "$2" "${3:-DNS:$1}"
  write_kubeconfig "$dir/pki/$1.kubeconfig" \
    "client-certificate: $dir/pki/$1.crt, client-key: $dir/pki/$1.key"
}

make_control_plane_credentials() {
  local token
  make_authority
  issue serving "/CN=kube-apiserver" \
    "IP:$address,IP:$service_address,IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  issue kubelet-client "/O=system:masters/CN=kube-apiserver-kubelet-client" DNS:kubelet-client
  issue front-proxy "/CN=front-proxy-client" DNS:front-proxy
  identity_of controller-manager "/CN=system:kube-controller-manager"
  identity_of scheduler "/CN=system:kube-scheduler"
  identity_of kube-proxy "/CN=system:kube-proxy"
  token=$(openssl rand -hex 24)
  (umask 077 && echo "$token,admin,admin,system:masters" >"$dir/pki/tokens.csv")
  write_kubeconfig "$dir/kubeconfig" "token: $token"
}

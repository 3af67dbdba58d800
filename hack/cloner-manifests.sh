#!/usr/bin/env bash
# Writes deploy/image-cloner.yaml: what the chart deploy/image-cloner makes of its default values in the namespace `default`,
# for those who do without Helm. `helm` is taken from PATH, else built (hack/tools/build.sh).
#
#   hack/cloner-manifests.sh            writes it
#   hack/cloner-manifests.sh --check    says whether it is up to date
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

manifests=deploy/image-cloner.yaml

say() { printf 'cloner-manifests: %s\n' "$*" >&2; }

render() {
  cat <<'EOF'
# Made by hack/cloner-manifests.sh from the chart deploy/image-cloner: not to be edited here.
#
# The image cloner in the namespace `default`, with the chart's default values: copies go to Docker Hub, to the user whose
# name and password are in the Secret `registry-auth`.
#
#   kubectl create secret generic registry-auth --from-literal=username=NAME --from-literal=password=PASSWORD
#   kubectl apply -f deploy/image-cloner.yaml
#   kubectl set image deployment/image-cloner image-cloner=REGISTRY/image-cloner:TAG
#   kubectl label namespace default image-cloner=enabled
#
# Settings are in the ConfigMap `image-cloner`, such as REGISTRY: registry.example.com/backup. They count at the start:
# kubectl rollout restart deployment/image-cloner
EOF
  # Nobody's settings, plugins or cluster count. Helm has not installed these: its labels would say so.
  env -u HELM_NAMESPACE KUBECONFIG=/dev/null helm template image-cloner deploy/image-cloner --namespace default |
    sed -e '/app\.kubernetes\.io\/managed-by:/d' -e '/helm\.sh\/chart:/d' -e '/^# Source: /d' -e '/^$/d'
}

command -v helm >/dev/null || PATH="$(hack/tools/build.sh helm):$PATH"
made=$(render)
case ${1-} in
  '') printf '%s\n' "$made" >"$manifests" ;;
  --check)
    diff --unified "$manifests" <(printf '%s\n' "$made") >&2 ||
      { say "$manifests is not what the chart makes; hack/cloner-manifests.sh writes it"; exit 1; }
    ;;
  *) say "there is no '$1' (see the head of this file)"; exit 64 ;;
esac

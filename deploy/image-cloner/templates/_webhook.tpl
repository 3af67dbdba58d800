{{/* The kinds of settings.kinds, as a JSON list in the order of the rules. */}}
{{- define "image-cloner.kinds" -}}
{{- $all := list "Pod" "ReplicationController" "DaemonSet" "Deployment" "ReplicaSet" "StatefulSet" "CronJob" "Job" -}}
{{- $given := include "image-cloner.entries" .Values.settings.kinds | fromJsonArray -}}
{{- $kinds := list -}}
{{- if or (not $given) (eq (join ";" $given) "templates") -}}
{{- $kinds = $all -}}
{{- else if eq (join ";" $given) "pods" -}}
{{- $kinds = list "Pod" -}}
{{- else -}}
{{- range $given -}}
{{- if not (has . $all) -}}
{{- fail (printf "settings.kinds: %q is neither \"templates\" nor \"pods\" alone, nor one of the kinds %s" . (join ", " $all)) -}}
{{- end -}}
{{- end -}}
{{- range $all -}}
{{- if has . $given }}{{ $kinds = append $kinds . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toJson $kinds -}}
{{- end }}

{{/* What the API server asks about, as a JSON list of rules: one for each API group that has any of the kinds. */}}
{{- define "image-cloner.rules" -}}
{{- $kinds := include "image-cloner.kinds" . | fromJsonArray -}}
{{- /* Debug containers come by a resource of their own. */ -}}
{{- $core := dict "Pod" (list "pods" "pods/ephemeralcontainers") "ReplicationController" (list "replicationcontrollers") -}}
{{- $apps := dict "DaemonSet" (list "daemonsets") "Deployment" (list "deployments") "ReplicaSet" (list "replicasets") "StatefulSet" (list "statefulsets") -}}
{{- $batch := dict "CronJob" (list "cronjobs") "Job" (list "jobs") -}}
{{- $rules := list -}}
{{- range $group := list (list "" $core) (list "apps" $apps) (list "batch" $batch) -}}
{{- $resources := list -}}
{{- range $kind := $kinds -}}
{{- with get (index $group 1) $kind }}{{ $resources = concat $resources . }}{{ end -}}
{{- end -}}
{{- if $resources -}}
{{- $rules = append $rules (dict "apiGroups" (list (index $group 0)) "apiVersions" (list "v1") "resources" $resources "operations" (list "CREATE" "UPDATE") "scope" "Namespaced") -}}
{{- end -}}
{{- end -}}
{{- toJson $rules -}}
{{- end }}

{{/* Namespaces that never take part, as a JSON list. */}}
{{- define "image-cloner.exemptNamespaces" -}}
{{- $exempt := list "kube-system" "kube-node-lease" -}}
{{- range include "image-cloner.entries" .Values.settings.exemptNamespaces | fromJsonArray -}}
{{- $exempt = append $exempt (include "image-cloner.checkedName" (dict "field" "settings.exemptNamespaces" "value" . "max" 63 "subdomain" false "example" "monitoring")) -}}
{{- end -}}
{{- $own := .Values.webhook.exemptOwnNamespace -}}
{{- if kindIs "invalid" $own }}{{ $own = ne .Release.Namespace "default" }}{{ end -}}
{{- if $own }}{{ $exempt = append $exempt .Release.Namespace }}{{ end -}}
{{- $exempt | uniq | toJson -}}
{{- end }}

{{/* The namespaces that take part, as a JSON selector. */}}
{{- define "image-cloner.namespaceSelector" -}}
{{- $given := .Values.webhook.namespaceSelector | default dict -}}
{{- $labels := $given.matchLabels | default dict -}}
{{- $expressions := $given.matchExpressions | default list -}}
{{- if .Values.webhook.allNamespaces -}}
{{- if or $labels $expressions -}}
{{- fail "webhook.allNamespaces: is true, but webhook.namespaceSelector chooses some; use only one of them" -}}
{{- end -}}
{{- else if not (or $labels $expressions) -}}
{{- $labels = dict "image-cloner" "enabled" -}}
{{- end -}}
{{- $exempt := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" (include "image-cloner.exemptNamespaces" . | fromJsonArray) -}}
{{- $selector := dict "matchExpressions" (append $expressions $exempt) -}}
{{- if $labels }}{{ $_ := set $selector "matchLabels" (include "image-cloner.stringMap" $labels | fromJson) }}{{ end -}}
{{- toJson $selector -}}
{{- end }}

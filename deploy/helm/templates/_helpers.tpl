{{/*
A name that has been checked. The schema says the same, but can be switched off (--skip-schema-validation), and an empty
name in a Role's resourceNames grants the right on every object: so no name, no render.
  field, value, max: which value it is, what was given, how long it may be
*/}}
{{- define "kubernetes-image-puller.checkedName" -}}
{{- $name := "" -}}
{{- if kindIs "string" .value }}{{ $name = .value }}{{ end -}}
{{- $label := "[a-z0-9]([-a-z0-9]*[a-z0-9])?" -}}
{{- $pattern := printf "^%s$" $label -}}
{{- if .subdomain }}{{ $pattern = printf "^%s(\\.%s)*$" $label $label }}{{ end -}}
{{- if or (not (regexMatch $pattern $name)) (gt (len $name) (int .max)) -}}
{{- fail (printf "%s: %s is not a name of lower case letters, digits and '-' with at most %d characters; example: %s" .field (toJson .value) (int .max) .example) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* The Deployment's and the DaemonSet's name: a label's value, hence its length. */}}
{{- define "kubernetes-image-puller.deploymentName" -}}
{{- include "kubernetes-image-puller.checkedName" (dict "field" "deploymentName" "value" .Values.deploymentName "max" 63 "subdomain" false "example" "kubernetes-image-puller") -}}
{{- end }}

{{/*
The DaemonSets' names, as JSON: the main one's, and those of nodes whose architecture an image has nothing for. A name that
is too long for a label's value has none of these.
*/}}
{{- define "kubernetes-image-puller.daemonsetNames" -}}
{{- $name := include "kubernetes-image-puller.deploymentName" . -}}
{{- $names := list $name -}}
{{- if le (len $name) 57 -}}
{{- $names = append $names (printf "%s-amd64" $name) -}}
{{- $names = append $names (printf "%s-arm64" $name) -}}
{{- end -}}
{{- toJson $names -}}
{{- end }}

{{- define "kubernetes-image-puller.configMapName" -}}
{{- include "kubernetes-image-puller.checkedName" (dict "field" "configMap.name" "value" .Values.configMap.name "max" 253 "subdomain" true "example" "k8s-image-puller") -}}
{{- end }}

{{/* Where the DaemonSet lives. */}}
{{- define "kubernetes-image-puller.daemonsetNamespace" -}}
{{- with .Values.daemonsetNamespace -}}
{{- include "kubernetes-image-puller.checkedName" (dict "field" "daemonsetNamespace" "value" . "max" 63 "subdomain" false "example" "cached-images") -}}
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end }}

{{- define "kubernetes-image-puller.serviceAccountName" -}}
{{- include "kubernetes-image-puller.checkedName" (dict "field" "serviceAccount.name" "value" .Values.serviceAccount.name "max" 253 "subdomain" true "example" "k8s-image-puller") -}}
{{- end }}

{{/* The daemon's image. The one of the Go image puller would run that program with rights that are not enough for it. */}}
{{- define "kubernetes-image-puller.image" -}}
{{- $repository := .Values.image.repository -}}
{{- if eq $repository "quay.io/eclipse/kubernetes-image-puller" -}}
{{- fail (printf "image.repository: %q is the Go image puller's image, which this chart cannot run; set image.repository and image.tag to where you pushed this image, for example registry.example.com/team/kubernetes-image-puller" $repository) -}}
{{- end -}}
{{- if regexMatch ":[^/]*$" $repository -}}
{{- fail (printf "image.repository: %q has a tag, which belongs into image.tag" $repository) -}}
{{- end -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{/*
Labels of every object, and of the daemon's pod, which must not restart for a new version of the chart alone. The
component is never "holder" or "fetcher": the DaemonSet selects its pods by those.
*/}}
{{- define "kubernetes-image-puller.commonLabels" -}}
app.kubernetes.io/name: kubernetes-image-puller
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: daemon
app.kubernetes.io/part-of: kubernetes-image-puller
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
{{- end }}

{{- define "kubernetes-image-puller.labels" -}}
{{ include "kubernetes-image-puller.commonLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- with .Values.commonLabels }}
{{ include "kubernetes-image-puller.checkedLabels" (dict "field" "commonLabels" "root" $) | fromJson | toYaml }}
{{- end }}
{{- end }}

{{/*
Labels of the user, as JSON. One that is the chart's own as well would cut the pod off from its Deployment, or hand it
to the DaemonSet.
  field, root: which value it is, and the chart's context
*/}}
{{- define "kubernetes-image-puller.checkedLabels" -}}
{{- $own := include "kubernetes-image-puller.commonLabels" .root | fromYaml | keys -}}
{{- $own = concat $own (list "app" "app.kubernetes.io/managed-by" "helm.sh/chart") -}}
{{- $labels := get .root.Values .field -}}
{{- range $key := keys $labels | sortAlpha -}}
{{- if has $key $own -}}
{{- fail (printf "%s: %q is a label of the chart itself and cannot be replaced" $.field $key) -}}
{{- end -}}
{{- end -}}
{{- include "kubernetes-image-puller.stringMap" $labels -}}
{{- end }}

{{/* Labels of the daemon's pod: the selector's and the chart's, then the user's. */}}
{{- define "kubernetes-image-puller.podLabels" -}}
{{- $labels := include "kubernetes-image-puller.commonLabels" . | fromYaml -}}
{{- $_ := set $labels "app" (include "kubernetes-image-puller.deploymentName" .) -}}
{{- range $field := list "podLabels" "commonLabels" -}}
{{- if get $.Values $field -}}
{{- $labels = merge $labels (include "kubernetes-image-puller.checkedLabels" (dict "field" $field "root" $) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end }}

{{/*
A value as text: a string as it is, nothing for null, all else as JSON. JSON, because Helm holds numbers as floats, which
templates print as 1e+06 where JSON has 1000000.
*/}}
{{- define "kubernetes-image-puller.text" -}}
{{- if kindIs "string" . -}}
{{- . -}}
{{- else if not (kindIs "invalid" .) -}}
{{- toJson . -}}
{{- end -}}
{{- end }}

{{/* A map of strings, as JSON: labels, annotations and selectors take no numbers or booleans, people write them. */}}
{{- define "kubernetes-image-puller.stringMap" -}}
{{- $strings := dict -}}
{{- range $key, $value := . -}}
{{- $_ := set $strings $key (include "kubernetes-image-puller.text" $value) -}}
{{- end -}}
{{- toJson $strings -}}
{{- end }}

{{/* The same for a value that may be a string of JSON already. */}}
{{- define "kubernetes-image-puller.stringMapText" -}}
{{- if kindIs "map" . -}}
{{- include "kubernetes-image-puller.stringMap" . -}}
{{- else -}}
{{- include "kubernetes-image-puller.text" . -}}
{{- end -}}
{{- end }}

{{/* Names of secrets from a list of names or of {name: NAME}, as a JSON list. */}}
{{- define "kubernetes-image-puller.secretNames" -}}
{{- $names := list -}}
{{- range . -}}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- toJson $names -}}
{{- end }}

{{/*
The pull secrets that the daemon may read, as a JSON list without doubles: those of the caching pods, which are also the
daemon's own where it brings the sleep program, and those that rbac.pullSecrets adds.
*/}}
{{- define "kubernetes-image-puller.pullSecretNames" -}}
{{- $given := .Values.configMap.imagePullSecrets | default list -}}
{{- if kindIs "string" $given }}{{ $given = splitList ";" $given }}{{ end -}}
{{- $names := list -}}
{{- range $field, $value := dict "configMap.imagePullSecrets" $given "imagePullSecrets" .Values.imagePullSecrets "rbac.pullSecrets" .Values.rbac.pullSecrets -}}
{{- range include "kubernetes-image-puller.secretNames" $value | fromJsonArray -}}
{{- with trim (toString .) -}}
{{- $names = append $names (include "kubernetes-image-puller.checkedName" (dict "field" $field "value" . "max" 253 "subdomain" true "example" "registry-credentials")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end }}

{{/*
A line of the ConfigMap, with the line break before it; nothing for an empty value, so that the daemon's default holds.
  key, value
*/}}
{{- define "kubernetes-image-puller.entry" -}}
{{- with include "kubernetes-image-puller.text" .value }}
  {{ $.key }}: {{ quote . }}
{{- end -}}
{{- end }}

{{/*
IMAGES from any of its forms, an entry a line: a list of forty images can be read and edited in the ConfigMap.
*/}}
{{- define "kubernetes-image-puller.images" -}}
{{- $given := .Values.configMap.images -}}
{{- $entries := list -}}
{{- if kindIs "map" $given -}}
{{- range $name, $image := $given }}{{ $entries = append $entries (printf "%s=%s" $name $image) }}{{ end -}}
{{- else if kindIs "slice" $given -}}
{{- $entries = $given -}}
{{- else -}}
{{- $entries = splitList ";" (include "kubernetes-image-puller.text" $given) -}}
{{- end -}}
{{- $trimmed := list -}}
{{- range $entries -}}
{{- with trim (toString .) }}{{ $trimmed = append $trimmed . }}{{ end -}}
{{- end -}}
{{- if not $trimmed -}}
{{- fail "configMap.images: there is no image in it; example: nginx=docker.io/library/nginx:1.27;redis=docker.io/library/redis:7" -}}
{{- end -}}
{{- join ";\n" $trimmed -}}
{{- end }}

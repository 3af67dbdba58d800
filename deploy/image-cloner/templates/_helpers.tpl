{{/*
A name that has been checked. The schema says the same, but can be switched off (--skip-schema-validation), and an empty
name in a Role's resourceNames grants the right on every object: so no name, no render.
  field, value, max: which value it is, what was given, how long it may be
*/}}
{{- define "image-cloner.checkedName" -}}
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

{{/* The name of nearly all: a label's value, hence its length, and a Service's name, which no digit may begin. */}}
{{- define "image-cloner.name" -}}
{{- $name := include "image-cloner.checkedName" (dict "field" "name" "value" .Values.name "max" 63 "subdomain" false "example" "image-cloner") -}}
{{- if regexMatch "^[0-9]" $name -}}
{{- fail (printf "name: %q begins with a digit, which the name of a Service may not; example: image-cloner" $name) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* The Secret that remembers who may read what. */}}
{{- define "image-cloner.proofSecret" -}}
{{- printf "%s-proofs" (include "image-cloner.name" .) -}}
{{- end }}

{{/* The Secret of the program's own certificates. */}}
{{- define "image-cloner.certificateSecret" -}}
{{- printf "%s-certificates" (include "image-cloner.name" .) -}}
{{- end }}

{{/* The Secret that cert-manager makes. Not the one above: Helm removes that in the moment in which this one is made. */}}
{{- define "image-cloner.tlsSecret" -}}
{{- printf "%s-tls" (include "image-cloner.name" .) -}}
{{- end }}

{{- define "image-cloner.serviceAccountName" -}}
{{- $name := include "image-cloner.name" . -}}
{{- with .Values.serviceAccount.name -}}
{{- $name = include "image-cloner.checkedName" (dict "field" "serviceAccount.name" "value" . "max" 253 "subdomain" true "example" "image-cloner") -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* The program's image. */}}
{{- define "image-cloner.image" -}}
{{- $repository := .Values.image.repository -}}
{{- if regexMatch ":[^/]*$" $repository -}}
{{- fail (printf "image.repository: %q has a tag, which belongs into image.tag" $repository) -}}
{{- end -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{/*
Labels of every object, and of the pods, which must not restart for a new version of the chart alone. By the first one the
API server and the program itself leave the image cloner alone.
*/}}
{{- define "image-cloner.commonLabels" -}}
app.kubernetes.io/name: image-cloner
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: webhook
app.kubernetes.io/part-of: kubernetes-image-puller
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
{{- end }}

{{- define "image-cloner.labels" -}}
{{ include "image-cloner.commonLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- with .Values.commonLabels }}
{{ include "image-cloner.checkedLabels" (dict "field" "commonLabels" "root" $) | fromJson | toYaml }}
{{- end }}
{{- end }}

{{/*
Labels of the user, as JSON. One that is the chart's own as well would cut the pods off from their Deployment, or have the
image cloner wait for itself.
  field, root: which value it is, and the chart's context
*/}}
{{- define "image-cloner.checkedLabels" -}}
{{- $own := include "image-cloner.commonLabels" .root | fromYaml | keys -}}
{{- $own = concat $own (list "app" "app.kubernetes.io/managed-by" "helm.sh/chart") -}}
{{- $labels := get .root.Values .field -}}
{{- range $key := keys $labels | sortAlpha -}}
{{- if has $key $own -}}
{{- fail (printf "%s: %q is a label of the chart itself and cannot be replaced" $.field $key) -}}
{{- end -}}
{{- end -}}
{{- include "image-cloner.stringMap" $labels -}}
{{- end }}

{{/* Labels of the pods: the selector's and the chart's, then the user's. */}}
{{- define "image-cloner.podLabels" -}}
{{- $labels := include "image-cloner.commonLabels" . | fromYaml -}}
{{- $_ := set $labels "app" (include "image-cloner.name" .) -}}
{{- range $field := list "podLabels" "commonLabels" -}}
{{- if get $.Values $field -}}
{{- $labels = merge $labels (include "image-cloner.checkedLabels" (dict "field" $field "root" $) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end }}

{{/*
A value as text: a string as it is, nothing for null, all else as JSON. JSON, because Helm holds numbers as floats, which
templates print as 1e+06 where JSON has 1000000.
*/}}
{{- define "image-cloner.text" -}}
{{- if kindIs "string" . -}}
{{- . -}}
{{- else if not (kindIs "invalid" .) -}}
{{- toJson . -}}
{{- end -}}
{{- end }}

{{/* A map of strings, as JSON: labels, annotations and selectors take no numbers or booleans, people write them. */}}
{{- define "image-cloner.stringMap" -}}
{{- $strings := dict -}}
{{- range $key, $value := . -}}
{{- $_ := set $strings $key (include "image-cloner.text" $value) -}}
{{- end -}}
{{- toJson $strings -}}
{{- end }}

{{/* The entries of a list, or of a string that separates them by ';', as a JSON list. */}}
{{- define "image-cloner.entries" -}}
{{- $given := . | default list -}}
{{- if kindIs "string" $given }}{{ $given = splitList ";" $given }}{{ end -}}
{{- $entries := list -}}
{{- range $given -}}
{{- with trim (toString .) }}{{ $entries = append $entries . }}{{ end -}}
{{- end -}}
{{- toJson $entries -}}
{{- end }}

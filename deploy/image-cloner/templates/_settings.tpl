{{/*
The program's environment, a line for each setting that is not empty. A value's name is its variable's: copiesAtOnce is
COPIES_AT_ONCE. What only the program can judge, it judges at its start; here are the mistakes that a render can find.
*/}}
{{- define "image-cloner.settings" -}}
{{- include "image-cloner.checkedRegistry" . -}}
{{- $lines := dict -}}
{{- range $key, $value := .Values.settings -}}
{{- if kindIs "slice" $value }}{{ $value = include "image-cloner.entries" $value | fromJsonArray | join ";" }}{{ end -}}
{{- with include "image-cloner.text" $value -}}
{{- $_ := set $lines ($key | snakecase | upper) . -}}
{{- end -}}
{{- end -}}
{{- with .Values.settings.pullSecret -}}
{{- $_ := include "image-cloner.checkedName" (dict "field" "settings.pullSecret" "value" . "max" 253 "subdomain" true "example" "backup-pull") -}}
{{- end -}}
{{- toYaml $lines -}}
{{- end }}

{{/* Where the copies go: nothing, or the reason why it is no such place. */}}
{{- define "image-cloner.checkedRegistry" -}}
{{- $registry := .Values.settings.registry -}}
{{- $example := "example: registry.example.com/backup" -}}
{{- if not $registry -}}
{{- if not .Values.registryAuth.secret -}}
{{- fail (printf "settings.registry: empty is Docker Hub, where copies belong to a user: registryAuth.secret must name the Secret with the user's name and password; or set settings.registry, %s" $example) -}}
{{- end -}}
{{- else if not (kindIs "string" $registry) -}}
{{- fail (printf "settings.registry: %s is no text; %s" (toJson $registry) $example) -}}
{{- else if and (not .Values.registryAuth.secret) (not (contains "/" (trimSuffix "/" $registry))) -}}
{{- fail (printf "settings.registry: %q has no path, so copies' names begin with the user's: registryAuth.secret must name the Secret with the user's name and password; or give it a path, %s" $registry $example) -}}
{{- else if contains "://" $registry -}}
{{- fail (printf "settings.registry: %q is an address; a registry has no https:// before its name (without TLS: settings.plainHttpRegistries); %s" $registry $example) -}}
{{- else if regexMatch "[A-Z\\s]" $registry -}}
{{- fail (printf "settings.registry: %q has capitals or spaces, which the names of images may not; %s" $registry $example) -}}
{{- else if or (contains "@" $registry) (regexMatch "/.*:" $registry) -}}
{{- fail (printf "settings.registry: %q has a tag or a digest; it is what the names of the copies begin with; %s" $registry $example) -}}
{{- else if or (hasSuffix "/" $registry) (hasPrefix "/" $registry) -}}
{{- fail (printf "settings.registry: %q begins or ends with a slash; %s" $registry $example) -}}
{{- end -}}
{{- end }}

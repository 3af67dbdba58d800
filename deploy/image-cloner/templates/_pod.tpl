{{/* The variables of the chart itself: names that are in other objects, and where its volumes are. */}}
{{- define "image-cloner.env" -}}
{{- $name := include "image-cloner.name" . -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: SERVICE_NAME
  value: {{ $name | quote }}
- name: WEBHOOK_CONFIGURATION
  value: {{ $name | quote }}
- name: PROOF_SECRET
  value: {{ include "image-cloner.proofSecret" . | quote }}
{{- if not .Values.certificates.certManager.enabled }}
- name: CERTIFICATE_SECRET
  value: {{ include "image-cloner.certificateSecret" . | quote }}
{{- end }}
- name: AUTH_DIR
  value: /auth
{{- with .Values.registryCA.configMap }}
- name: REGISTRY_CA_FILE
  value: {{ printf "/etc/registry-ca/%s" $.Values.registryCA.key | quote }}
{{- end }}
{{- end }}

{{- define "image-cloner.mounts" -}}
{{- $mounts := list -}}
{{- if .Values.registryAuth.secret -}}
{{- $mounts = append $mounts (dict "name" "auth" "mountPath" "/auth" "readOnly" true) -}}
{{- end -}}
{{- if .Values.registryCA.configMap -}}
{{- $mounts = append $mounts (dict "name" "registry-ca" "mountPath" "/etc/registry-ca" "readOnly" true) -}}
{{- end -}}
{{- if .Values.certificates.certManager.enabled -}}
{{- $mounts = append $mounts (dict "name" "tls" "mountPath" "/tls" "readOnly" true) -}}
{{- end -}}
{{- with concat $mounts (.Values.extraVolumeMounts | default list) }}{{ toYaml . }}{{ end -}}
{{- end }}

{{- define "image-cloner.volumes" -}}
{{- $volumes := list -}}
{{- with .Values.registryAuth.secret -}}
{{- /* It may come later than the pods: credentials are not in a chart's values. */ -}}
{{- $volumes = append $volumes (dict "name" "auth" "secret" (dict "secretName" . "optional" true)) -}}
{{- end -}}
{{- with .Values.registryCA.configMap -}}
{{- $volumes = append $volumes (dict "name" "registry-ca" "configMap" (dict "name" .)) -}}
{{- end -}}
{{- if .Values.certificates.certManager.enabled -}}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (dict "secretName" (include "image-cloner.tlsSecret" .))) -}}
{{- end -}}
{{- with concat $volumes (.Values.extraVolumes | default list) }}{{ toYaml . }}{{ end -}}
{{- end }}

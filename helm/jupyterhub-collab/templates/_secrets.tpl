{{- /* Secrets that the chart makes: what the operator gave, else what the release has already, else new and random. */ -}}

{{- define "collab.secretName" -}}
{{ .Values.hub.existingSecret | default (include "collab.name" (list . "hub")) }}
{{- end }}

{{- /* Call with (list . "key" "given"); the answer is 64 hexadecimal digits, as data of a Secret. */ -}}
{{- define "collab.secret" -}}
{{- $root := index . 0 }}
{{- $kept := lookup "v1" "Secret" $root.Release.Namespace (include "collab.name" (list $root "hub")) }}
{{- if index . 2 }}
{{- index . 2 | b64enc }}
{{- else if hasKey ($kept.data | default dict) (index . 1) }}
{{- index $kept.data (index . 1) }}
{{- else }}
{{- randAlphaNum 64 | sha256sum | b64enc }}
{{- end }}
{{- end }}

{{- /* What the Hub's configuration reads of the values. */ -}}
{{- define "collab.hubValues" -}}
hub:
  {{- pick .Values.hub "baseUrl" "config" "extraConfig" "services" "loadRoles" | toYaml | nindent 2 }}
  upgradeDatabase: {{ .Values.hub.db.upgrade }}
singleuser:
  {{- omit .Values.singleuser "networkPolicy" | toYaml | nindent 2 }}
  imageName: {{ include "collab.image" (list . .Values.singleuser.image) }}
  imagePullSecrets:
    {{- concat .Values.imagePullSecrets (.Values.singleuser.image.pullSecrets | default list) | toYaml | nindent 4 }}
cull:
  {{- .Values.cull | toYaml | nindent 2 }}
debug: {{ .Values.debug.enabled }}
monitoring: {{ .Values.monitoring.serviceMonitor.enabled }}
urls:
  hub: {{ include "collab.hubUrl" . }}
  proxy: http://{{ include "collab.name" (list . "proxy-api") }}:8001
  projects: {{ include "collab.projectsUrl" . }}
labels:
  app.kubernetes.io/name: {{ include "collab.chartName" . }}
  app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "collab.settings" -}}
{{- if .Values.collab.settings }}{{ toToml .Values.collab.settings }}{{ end }}
{{- end }}

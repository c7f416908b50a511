{{- /* Names and labels. Each is made here and nowhere else. */ -}}

{{- define "collab.fullname" -}}
{{ .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* Call with (list . "hub"). */ -}}
{{- define "collab.name" -}}
{{ include "collab.fullname" (index . 0) }}-{{ index . 1 }}
{{- end }}

{{- define "collab.chartName" -}}
{{ .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{- /* What a component's pods are found by; it never changes. Call with (list . "hub"). */ -}}
{{- define "collab.selector" -}}
app.kubernetes.io/name: {{ include "collab.chartName" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "collab.labels" -}}
{{ include "collab.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "collab.metadata" -}}
name: {{ include "collab.name" . }}
labels:
  {{- include "collab.labels" . | nindent 2 }}
{{- end }}

{{- /* Call with (list . "hub" .Values.hub). */ -}}
{{- define "collab.serviceAccount" -}}
{{ (index . 2).serviceAccount.name | default (include "collab.name" .) }}
{{- end }}

{{- define "collab.baseUrl" -}}
{{ .Values.hub.baseUrl | trimSuffix "/" }}/
{{- end }}

{{- define "collab.hubUrl" -}}
{{ if .Values.hub.enabled }}http://{{ include "collab.name" (list . "hub") }}:8081{{ else }}{{ .Values.addon.hubUrl | trimSuffix "/" }}{{ end }}
{{- end }}

{{- define "collab.projectsUrl" -}}
http://{{ include "collab.name" (list . "projects") }}.{{ .Release.Namespace }}:8181
{{- end }}

{{- define "collab.publicUrl" -}}
{{ dig "JupyterHub" "public_url" "" .Values.hub.config | trimSuffix "/" }}
{{- end }}

{{- /* Whether both databases are files on a claim: "yes" or nothing. */ -}}
{{- define "collab.sqlite" -}}
{{ if eq .Values.hub.db.type "sqlite-pvc" }}yes{{ end }}
{{- end }}

{{- /* Pieces of network policies. A policy that lists both directions denies whatever it does not name. */ -}}

{{- /* Call with (list . "hub"): the pods of a component as a peer. */ -}}
{{- define "collab.peer" -}}
podSelector:
  matchLabels:
    {{- include "collab.selector" . | nindent 4 }}
{{- end }}

{{- /* Where Hub or projects service run: in one pod with SQLite. Call with (list . "projects"). */ -}}
{{- define "collab.home" -}}
{{- if and (include "collab.sqlite" (index . 0)) (eq (index . 1) "projects") }}hub{{ else }}{{ index . 1 }}{{ end }}
{{- end }}

{{- /* Call with .Values.networkPolicy.dns or another entry that has ports and to; TCP, and UDP for names. */ -}}
{{- define "collab.egressTo" -}}
{{- $entry := index . 0 }}{{ $protocols := rest . }}
- ports:
    {{- range $port := $entry.ports }}{{ range $protocols }}
    - {port: {{ $port }}, protocol: {{ . }}}
    {{- end }}{{ end }}
  {{- with $entry.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "collab.privateRanges" -}}
[10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16, 127.0.0.0/8]
{{- end }}

{{- /* Hub or proxy as a peer: ours, or those of a zero-to-jupyterhub release. Call with (list . "hub"). */ -}}
{{- define "collab.hubSide" -}}
{{- if (index . 0).Values.hub.enabled }}
{{- include "collab.peer" . }}
{{- else -}}
podSelector: {matchLabels: {release: {{ (index . 0).Values.addon.release }}, component: {{ index . 1 }}}}
{{- end }}
{{- end }}

{{- /* What all pods of the chart share. They pass the Pod Security Standard "restricted". */ -}}

{{- /* Call with (list . .Values.hub.image). */ -}}
{{- define "collab.image" -}}
{{ (index . 1).name }}:{{ (index . 1).tag | default (index . 0).Chart.AppVersion }}
{{- end }}

{{- /* Call with (list . "hub" .Values.hub). */ -}}
{{- define "collab.podSpec" -}}
{{- $root := index . 0 }}{{ $own := index . 2 }}
serviceAccountName: {{ include "collab.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: {type: RuntimeDefault}
{{- with concat $root.Values.imagePullSecrets ($own.image.pullSecrets | default list) }}
imagePullSecrets:
  {{- range . }}
  - {{ ternary (dict "name" .) . (kindIs "string" .) | toJson }}
  {{- end }}
{{- end }}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with index $own $name }}
{{ $name }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "collab.securityContext" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* Call with a component's values. */ -}}
{{- define "collab.podMetadata" -}}
{{- with .labels }}{{ toYaml . }}{{ end }}
{{- end }}

{{- /* Variables by name, each a text or what Kubernetes takes beside a name. */ -}}
{{- define "collab.extraEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* What Hub and services share: the settings, and the core's database. */ -}}
{{- define "collab.env" -}}
- {name: JUPYTERHUB_COLLAB_SETTINGS, value: /etc/jupyterhub-collab/settings.toml}
- {name: JUPYTERHUB_COLLAB_ISOLATION, value: pod}
- {name: HOME, value: /tmp}
- name: JUPYTERHUB_COLLAB__DATABASE__URL
  {{- if include "collab.sqlite" . }}
  value: sqlite+aiosqlite:////srv/jupyterhub/collab.sqlite
  {{- else }}
  valueFrom:
    secretKeyRef: {name: {{ .Values.collab.database.existingSecret }}, key: {{ .Values.collab.database.key }}}
  {{- end }}
{{- end }}

{{- define "collab.settingsMount" -}}
- {name: settings, mountPath: /etc/jupyterhub-collab/settings.toml, subPath: settings.toml, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "collab.settingsVolume" -}}
- name: settings
  configMap: {name: {{ include "collab.name" (list . "settings") }}}
- name: tmp
  emptyDir: {}
{{- end }}

{{- /* Call with (list . "hub" .Values.hub). */ -}}
{{- define "collab.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "collab.metadata" . | nindent 2 }}
spec:
  {{- with (index . 2).pdb }}
  {{- if not (kindIs "invalid" .maxUnavailable) }}
  maxUnavailable: {{ .maxUnavailable }}
  {{- else }}
  minAvailable: {{ .minAvailable }}
  {{- end }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "collab.selector" . | nindent 6 }}
{{- end }}

{{- /* An account without any right, and without a token in the pods. Call with (list . "proxy" .Values.proxy.chp). */ -}}
{{- define "collab.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "collab.serviceAccount" . }}
  labels:
    {{- include "collab.labels" . | nindent 4 }}
  {{- with (index . 2).serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

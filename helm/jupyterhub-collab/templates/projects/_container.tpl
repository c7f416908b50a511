{{- /* The projects service: in a pod of its own, or in the Hub's where both databases are files. */ -}}
{{- define "collab.projectsContainer" -}}
{{- $base := include "collab.baseUrl" . }}{{ $hub := ternary "http://127.0.0.1:8081" (include "collab.hubUrl" .) (include "collab.sqlite" . | eq "yes") }}{{ $public := include "collab.publicUrl" . }}
name: projects
image: {{ include "collab.image" (list . .Values.services.projects.image) }}
imagePullPolicy: {{ .Values.services.projects.image.pullPolicy }}
args:
  - python3
  - -m
  - jupyterhub_collab_services.projects
  - --Service.end_with_hub=False
  {{- if $public }}
  - --Service.public_origin={{ $public }}
  {{- end }}
  {{- range .Values.services.projects.extraArgs }}
  - {{ quote . }}
  {{- end }}
ports:
  - {name: projects, containerPort: 8181}
env:
  {{- include "collab.env" . | nindent 2 }}
  - {name: JUPYTERHUB_SERVICE_NAME, value: projects}
  - {name: JUPYTERHUB_CLIENT_ID, value: service-projects}
  - {name: JUPYTERHUB_API_URL, value: "{{ $hub }}{{ $base }}hub/api"}
  - {name: JUPYTERHUB_BASE_URL, value: {{ $base }}}
  - {name: JUPYTERHUB_SERVICE_PREFIX, value: {{ $base }}services/projects/}
  - {name: JUPYTERHUB_SERVICE_URL, value: "http://0.0.0.0:8181"}
  {{- with dig "JupyterHub" "subdomain_host" "" .Values.hub.config }}
  - {name: JUPYTERHUB_HOST, value: {{ . | quote }}}
  {{- end }}
  {{- if $public }}
  - {name: JUPYTERHUB_PUBLIC_URL, value: "{{ $public }}{{ $base }}services/projects/"}
  - {name: JUPYTERHUB_PUBLIC_HUB_URL, value: "{{ $public }}{{ $base }}hub/"}
  {{- end }}
  - name: JUPYTERHUB_API_TOKEN
    valueFrom:
      secretKeyRef: {name: {{ include "collab.secretName" . }}, key: hub.services.projects.apiToken}
  {{- include "collab.extraEnv" .Values.services.projects.extraEnv | nindent 2 }}
{{ include "collab.securityContext" . }}
resources: {{ toJson .Values.services.projects.resources }}
startupProbe: # with the database
  httpGet: {path: {{ $base }}services/projects/healthz, port: projects}
  periodSeconds: 2
  failureThreshold: 150
  timeoutSeconds: 5
readinessProbe: # without it: the service says itself that the database is away
  tcpSocket: {port: projects}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: {{ $base }}services/projects/static/look.css, port: projects}
  periodSeconds: 20
  failureThreshold: 6
  timeoutSeconds: 5
volumeMounts:
  {{- include "collab.settingsMount" . | nindent 2 }}
  {{- if include "collab.sqlite" . }}
  - {name: state, mountPath: /srv/jupyterhub}
  {{- end }}
  {{- with .Values.services.projects.extraVolumeMounts }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

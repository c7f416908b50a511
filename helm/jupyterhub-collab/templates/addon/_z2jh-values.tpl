{{- /* Values for an existing release of zero-to-jupyterhub, by which it takes the product. */ -}}
{{- define "collab.z2jhValues" -}}
hub:
  image:
    name: {{ .Values.hub.image.name }}
    tag: {{ .Values.hub.image.tag | default .Chart.AppVersion | quote }}
  allowNamedServers: true
  extraEnv:
    JUPYTERHUB_COLLAB_SETTINGS: /etc/jupyterhub-collab/settings.toml
    JUPYTERHUB_COLLAB_ISOLATION: pod
    JUPYTERHUB_COLLAB_PROJECTS_URL: {{ include "collab.projectsUrl" . }}
    JUPYTERHUB_COLLAB_PROJECTS_TOKEN:
      valueFrom:
        secretKeyRef:
          name: {{ include "collab.secretName" . }}
          key: hub.services.projects.apiToken
    JUPYTERHUB_COLLAB__DATABASE__URL:
      valueFrom:
        secretKeyRef:
          name: {{ .Values.collab.database.existingSecret }}
          key: {{ .Values.collab.database.key }}
  extraVolumes:
    - name: collab-settings
      configMap:
        name: {{ include "collab.name" (list . "settings") }}
  extraVolumeMounts:
    - name: collab-settings
      mountPath: /etc/jupyterhub-collab
      readOnly: true
  extraConfig:
    50-jupyterhub-collab: |
      {{- .Files.Get "files/z2jh_config.py" | nindent 6 }}
singleuser:
  image:
    name: {{ .Values.singleuser.image.name }}
    tag: {{ .Values.singleuser.image.tag | default .Chart.AppVersion | quote }}
  # Volumes, their groups and the sizes of servers come from collab.settings
  storage:
    type: none
  fsGid: null
  cloudMetadata:
    blockWithIptables: false
{{- end }}

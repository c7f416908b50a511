{{- /* What the schema can't say: each refusal is one sentence that says what to do. */ -}}

{{- define "collab.check" -}}
{{- include "collab.checkRenamed" . }}
{{- with .Values.collab.settings.storage }}
{{- if and (eq (.access_mode | default "ReadWriteMany") "ReadWriteOnce") (not .node) }}
{{- fail "collab.settings.storage.access_mode is ReadWriteOnce, so all servers must run on one node: name its host name in collab.settings.storage.node, or use a storage class that can do ReadWriteMany." }}
{{- end }}
{{- if and .node (ne (.access_mode | default "ReadWriteMany") "ReadWriteOnce") }}
{{- fail "collab.settings.storage.node is only for volumes that one node can mount: set collab.settings.storage.access_mode to ReadWriteOnce, or remove the node." }}
{{- end }}
{{- end }}
{{- if and .Values.hub.enabled (include "collab.sqlite" .) (dig "database" "pool_size" "" .Values.collab.settings) }}
{{- fail "collab.settings.database.pool_size is for PostgreSQL: remove it, or set hub.db.type to postgres." }}
{{- end }}
{{- if and (not .Values.hub.enabled) (include "collab.sqlite" .) }}
{{- fail "hub.enabled is false, and the Hub of another release can't share a file with this one: set hub.db.type to postgres." }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled is true: name the Gateway in httpRoute.parentRefs." }}
{{- end }}
{{- if and .Values.hub.enabled (eq .Values.hub.db.type "postgres") (eq .Values.hub.db.existingSecret .Values.collab.database.existingSecret) (eq .Values.hub.db.key .Values.collab.database.key) }}
{{- fail "hub.db and collab.database name the same key of the same Secret: the Hub and the core each need a database of their own." }}
{{- end }}
{{- include "collab.checkSecrets" . }}
{{- end }}

{{- define "collab.checkRenamed" -}}
{{- range $old, $new := .Files.Get "files/renamed.yaml" | fromYaml }}
{{- $found := $.Values }}
{{- range splitList "." $old }}
{{- $found = ternary (index ($found | default dict) .) nil (and (kindIs "map" $found) (hasKey ($found | default dict) .)) }}
{{- end }}
{{- if not (kindIs "invalid" $found) }}
{{- fail (printf "%s is not an option of this chart. Here it is %s." $old $new) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where there is a cluster to ask, tell which Secret is missing before pods wait for it. */ -}}
{{- define "collab.checkSecrets" -}}
{{- if and (not (include "collab.sqlite" .)) (lookup "v1" "ServiceAccount" .Release.Namespace "default") }}
{{- $wanted := list .Values.collab.database }}
{{- if .Values.hub.enabled }}{{ $wanted = append $wanted .Values.hub.db }}{{ end }}
{{- range $wanted }}
{{- $secret := lookup "v1" "Secret" $.Release.Namespace .existingSecret }}
{{- if not (hasKey ($secret.data | default dict) .key) }}
{{- fail (printf "The Secret %s in the namespace %s has no key %s. Make it first: kubectl create secret generic %s --namespace %s --from-literal=hub-url=postgresql+psycopg://USER:PASSWORD@HOST/HUB --from-literal=collab-url=postgresql+psycopg://USER:PASSWORD@HOST/COLLAB" .existingSecret $.Release.Namespace .key .existingSecret $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

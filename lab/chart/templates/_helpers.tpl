{{- define "binderhub.labels" -}}
app.kubernetes.io/name: binderhub
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
release: {{ .Release.Name }}
{{- end }}

{{- /* Labels of JupyterHub's own parts, by which BinderHub and admins find them. Call with (list root component). */ -}}
{{- define "binderhub.hubLabels" -}}
app: jupyterhub
component: {{ index . 1 }}
release: {{ (index . 0).Release.Name }}
{{- end }}

{{- define "binderhub.image" -}}
image: {{ printf "%s:%s" .name (toString .tag) | quote }}
{{- with .pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{- /* Names of the secrets a pod pulls with. Call with (list root image). */ -}}
{{- define "binderhub.pullSecretNames" -}}
{{- $root := index . 0 -}}
{{- $names := list -}}
{{- with $root.Values.jupyterhub.imagePullSecret -}}
{{- if and .create .automaticReferenceInjection }}{{ $names = append $names "image-pull-secret" }}{{ end -}}
{{- end -}}
{{- range concat $root.Values.jupyterhub.imagePullSecrets ((index . 1).pullSecrets | default list) -}}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end }}

{{- define "binderhub.pullSecrets" -}}
{{- with include "binderhub.pullSecretNames" . | fromJsonArray }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where pods of the hub itself run: preferred or required on nodes for `core`. */ -}}
{{- define "binderhub.coreAffinity" -}}
{{- $match := .Values.jupyterhub.scheduling.corePods.nodeAffinity.matchNodePurpose -}}
{{- if ne $match "ignore" }}
affinity:
  nodeAffinity:
{{- if eq $match "require" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions: [{key: hub.jupyter.org/node-purpose, operator: In, values: [core]}]
{{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference:
          matchExpressions: [{key: hub.jupyter.org/node-purpose, operator: In, values: [core]}]
{{- end }}
{{- end }}
{{- end }}

{{- /* Environment in the three notations of the official charts: a list, name: text, name: {value or valueFrom}. */ -}}
{{- define "binderhub.env" -}}
{{- if kindIs "slice" . -}}
{{- toYaml . -}}
{{- else -}}
{{- range $name, $value := . }}
{{- if kindIs "map" $value }}
- {{ merge (dict) $value (dict "name" $name) | toJson }}
{{- else }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end }}
{{- end -}}
{{- end }}

{{- define "binderhub.probe" -}}
{{- omit . "enabled" | toYaml -}}
{{- end }}

{{- /* A token: the given one, else the one in the cluster, else a new one. Call with (list root value secret key). */ -}}
{{- define "binderhub.token" -}}
{{- $root := index . 0 -}}
{{- $existing := lookup "v1" "Secret" $root.Release.Namespace (index . 2) -}}
{{- $kept := dig "data" (index . 3) "" ($existing | default dict) -}}
{{- if index . 1 -}}{{ index . 1 }}{{- else if $kept -}}{{ $kept | b64dec }}{{- else -}}{{ randAlphaNum 64 | sha256sum }}{{- end -}}
{{- end }}

{{- define "binderhub.schedulerName" -}}
{{ .Release.Name }}-user-scheduler
{{- end }}

{{- /* Content of a docker config.json. Call with (dict "url" "username" "password"), and "more" to be merged into it. */ -}}
{{- define "binderhub.dockerConfig" -}}
{{- $auths := dict -}}
{{- if .username -}}
{{- $auth := printf "%s:%s" .username (.password | default "") | b64enc -}}
{{- $auths = dict (.url | default "https://index.docker.io/v1/") (dict "auth" $auth) -}}
{{- end -}}
{{- merge (dict "auths" $auths) (.more | default dict) | toJson -}}
{{- end }}

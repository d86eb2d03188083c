#!/bin/bash
# Take the configuration files of a finished lab site into CONFIG_DIR, for floor.sh.   capture.sh CONFIG_DIR SSH_KEY HELM KUBECTL KUBECONFIG
set -euo pipefail
config=$1 key=$2 helm=$3 kubectl=$4
export KUBECONFIG=$5
options="-i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
take() {
  mkdir -p "$config/$2"
  # shellcheck disable=SC2086 # a list of words, here and below
  ssh $options "root@$1" "cd / && tar -c --ignore-failed-read ${*:3} 2>/dev/null" | tar -C "$config/$2" -x
}
take 172.30.77.21 node etc/apt/sources.list.d etc/apt/keyrings usr/local/share/ca-certificates etc/sysctl.d/90-ironbinder.conf \
  etc/containerd/config.toml etc/containerd/certs.d etc/containerd/ironbinder-ca.crt etc/docker/daemon.json etc/docker/certs.d
for machine in 172.30.77.11 172.30.77.21 172.30.77.22; do
  take "$machine" "node-$machine" etc/default/kubelet var/lib/ironbinder/kubeadm-patches
done
take 172.30.77.11 node-172.30.77.11 etc/default/kubelet var/lib/ironbinder/kubeadm-patches var/lib/ironbinder/kubeadm-init.yaml
mkdir -p "$config/node/root"
# shellcheck disable=SC2086
ssh $options root@172.30.77.21 "cat /etc/cni/net.d/10-ironbinder.conflist" |
  python3 -c 'import json, sys
told = json.load(sys.stdin)
# The floor has no guard.
told["plugins"] = [plugin for plugin in told["plugins"] if plugin["type"] != "ironbinder-guard"]
json.dump(told, sys.stdout, indent=2)' > "$config/node/root/conflist"
take 172.30.77.41 registry etc/docker/registry etc/systemd/system/docker-registry.service.d
take 172.30.77.31 proxy etc/nginx/conf.d/ironbinder.conf 'etc/nginx/ironbinder*.pem'
# shellcheck disable=SC2086
ssh $options root@172.30.77.11 "cat /var/cache/metallb-native-*.yaml" > "$config/metallb.yaml"
# Objects as somebody would write them: without what the API adds.
plain() {
  python3 -c 'import json, sys
found = json.load(sys.stdin)
found["items"] = [item for item in found["items"] if not item["metadata"]["name"].startswith(("system", "kube-root-ca"))]
for item in found["items"]:
    item["metadata"] = {key: told for key, told in item["metadata"].items() if key in ("name", "namespace", "labels")}
    item.pop("status", None)
json.dump(found, sys.stdout)'
}
"$kubectl" -n metallb-system get ipaddresspools,l2advertisements -o json | plain > "$config/pool.yaml"
storage=$("$kubectl" get deployments -A -o 'jsonpath={.items[?(@.metadata.name=="local-path-provisioner")].metadata.namespace}')
for kinds in "namespace/$storage" clusterrole/ironbinder-local-path-provisioner clusterrolebinding/ironbinder-local-path-provisioner; do
  "$kubectl" get "${kinds%/*}" --field-selector "metadata.name=${kinds#*/}" -o json | plain > "$config/objects-1-${kinds%/*}.yaml"
done
"$kubectl" get priorityclasses,storageclasses -o json | plain > "$config/objects-2.yaml"
"$kubectl" -n "$storage" get serviceaccounts,roles,rolebindings,configmaps,deployments -o json | plain > "$config/objects-3.yaml"
"$kubectl" get nodes -o 'jsonpath={range .items[*]}{.metadata.name} hub.jupyter.org/node-purpose={.metadata.labels.hub\.jupyter\.org/node-purpose}{"\n"}{end}' > "$config/labels"
for hub in binder private; do
  "$helm" get values "$hub" --namespace "$hub" --output json > "$config/values-$hub.json"
done
curl --silent --fail --insecure --output "$config/chart.tgz" "https://172.30.77.41/jupyterhub.github.io/helm-chart/$(
  curl --silent --fail --insecure https://172.30.77.41/jupyterhub.github.io/helm-chart/index.yaml | sed -n 's/^ *- \(binderhub-.*\.tgz\)$/\1/p' | head -n 1)"

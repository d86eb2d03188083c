#!/bin/bash
# What a person would type, with every configuration file already at hand: the floor that site.yml is measured
# against. Packages, configuration, kubeadm init and join, the pod network, MetalLB, storage, two hubs by Helm, and
# NGINX; no checks, no proofs, no second thoughts.
#   floor.sh CONFIG_DIR SSH_KEY HELM KUBECTL    CONFIG_DIR as bench.py captured it from a finished site
set -euo pipefail
config=$1 key=$2 helm=$3 kubectl=$4
head=172.30.77.11 workers="172.30.77.21 172.30.77.22" proxy=172.30.77.31 mirror=172.30.77.41
export KUBECONFIG="$config/kubeconfig"
options="-i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
# shellcheck disable=SC2086 # a list of words, here and below
on() { ssh $options "root@$1" "$2"; }
# shellcheck disable=SC2086
give() { tar -C "$config/$2" -c . | ssh $options "root@$1" tar -x --no-overwrite-dir -C /; }

node() {
  give "$1" node
  give "$1" "node-$1"
  on "$1" 'set -e; export DEBIAN_FRONTEND=noninteractive
    update-ca-certificates > /dev/null
    sysctl -qw net.ipv4.ip_forward=1
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-confold \
      containerd.io docker-ce docker-ce-cli docker-buildx-plugin kubelet kubeadm kubectl kubernetes-cni conntrack ethtool socat > /dev/null
    apt-mark hold -q containerd.io docker-ce docker-ce-cli docker-buildx-plugin kubelet kubeadm kubectl kubernetes-cni > /dev/null
    systemctl daemon-reload
    systemctl enable -q docker containerd kubelet
    systemctl restart containerd docker'
}

for machine in $head $workers; do node "$machine" & done
(
  give "$mirror" registry
  on "$mirror" 'set -e; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq
    apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-confold docker-registry > /dev/null
    chown -R docker-registry: /etc/docker/registry; systemctl daemon-reload; systemctl enable -q docker-registry
    systemctl restart docker-registry'
) &
(
  on "$proxy" 'set -e; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq
    apt-get install -qq -y --no-install-recommends nginx > /dev/null; rm -f /etc/nginx/sites-enabled/default'
  give "$proxy" proxy
  on "$proxy" 'systemctl enable -q nginx; systemctl restart nginx'
) &
for job in $(jobs -p); do wait "$job"; done

on $head 'kubeadm init --config /var/lib/ironbinder/kubeadm-init.yaml --ignore-preflight-errors=SystemVerification > /root/init.log'
join=$(on $head 'kubeadm token create --print-join-command')
for machine in $workers; do
  on "$machine" "$join --ignore-preflight-errors=SystemVerification --patches /var/lib/ironbinder/kubeadm-patches > /root/join.log" &
done
for job in $(jobs -p); do wait "$job"; done
on $head 'cat /etc/kubernetes/admin.conf' > "$KUBECONFIG"
for machine in $head $workers; do
  # The machine's pods have the range that the cluster gave its node, so this comes after joining.
  range=$("$kubectl" get nodes -o "jsonpath={.items[?(@.status.addresses[0].address=='$machine')].spec.podCIDR}")
  routes=$("$kubectl" get nodes -o 'jsonpath={range .items[*]}{.spec.podCIDR} via {.status.addresses[0].address}{"\n"}{end}' | grep -v " $machine\$" | sed 's/^/ip route replace /')
  on "$machine" "set -e; mkdir -p /etc/cni/net.d
    sed 's#\"subnet\": \"[^\"]*\"#\"subnet\": \"$range\"#' /root/conflist > /etc/cni/net.d/10-ironbinder.conflist
    $routes
    iptables -I FORWARD -s 10.244.0.0/16 -j ACCEPT; iptables -I FORWARD -d 10.244.0.0/16 -j ACCEPT
    iptables -t nat -A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE"
done
while read -r name label; do "$kubectl" label node "$name" "$label" > /dev/null; done < "$config/labels"
"$kubectl" wait --for=condition=Ready nodes --all --timeout=180s > /dev/null

"$kubectl" apply -f "$config/metallb.yaml" > /dev/null
for objects in "$config"/objects-*.yaml; do "$kubectl" apply -f "$objects" > /dev/null; done
"$kubectl" -n metallb-system rollout status deployment/controller --timeout=180s > /dev/null
"$kubectl" -n metallb-system rollout status daemonset/speaker --timeout=180s > /dev/null
for _ in $(seq 60); do
  if "$kubectl" apply -f "$config/pool.yaml" > /dev/null 2>&1; then break; fi
  sleep 0.5
done
for hub in binder private; do
  "$helm" install "$hub" "$config/chart.tgz" --namespace "$hub" --create-namespace --values "$config/values-$hub.json" --wait --timeout 5m > /dev/null &
done
for job in $(jobs -p); do wait "$job"; done
for _ in $(seq 120); do
  if curl --silent --fail --insecure --output /dev/null https://172.30.77.31/jupyterhub/hub/api https://private.campus.test/jupyterhub/hub/api \
    --resolve private.campus.test:443:172.30.77.31; then exit 0; fi
  sleep 0.5
done
echo "the hubs do not answer" >&2
exit 1

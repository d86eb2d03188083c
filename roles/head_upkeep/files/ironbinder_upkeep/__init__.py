# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a head does by itself, by timers: snapshots of etcd, and kubeadm's certificates renewed in time."""

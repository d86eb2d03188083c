# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Variables of roles that the site contract now has under a name of its own.

An inventory that set them reached the role until the playbooks began to give it the contract's value, which wins.
With -e they still reach it.
"""

from __future__ import annotations

__all__ = ["RENAMED"]

RENAMED = {
    "binderhub_build_node_selector": "site_build_node_selector",
    "binderhub_floating_ip_release_enabled": "site_floating_ip_release_enabled",
    "binderhub_hub_database": "site_hub_database",
    "binderhub_image_cleaner_cordon_enabled": "site_image_cleaner_cordon_enabled",
    "binderhub_session_memory_guarantee": "site_session_memory_guarantee",
    "binderhub_session_memory_limit": "site_session_memory_limit",
    "binderhub_stuck_seconds": "site_release_stuck_seconds",
    "binderhub_timeout_seconds": "site_release_timeout_seconds",
    "binderhub_user_scheduler_replicas": "site_user_scheduler_replicas",
    "binderhub_values_dir": "site_release_values_dir",
    "containerd_cni_bin_dir": "site_cni_bin_dir",
    "containerd_cni_config_dir": "site_cni_config_dir",
    "containerd_package": "site_containerd_package",
    "control_plane_extra_certificate_names": "site_api_certificate_names",
    "control_plane_ignore_preflight_errors": "site_kubeadm_ignored_errors",
    "control_plane_recovery_seconds": "site_control_plane_recovery_seconds",
    "control_plane_timeout_seconds": "site_kubeadm_init_timeout_seconds",
    "docker_live_restore_enabled": "site_docker_live_restore_enabled",
    "docker_log_max_files": "site_docker_log_max_files",
    "docker_log_max_size": "site_docker_log_max_size",
    "kubernetes_node_kubelet_args": "site_kubelet_args",
    "launch_check_build_tokens": "site_verify_build_tokens",
    "launch_check_fail_when_buffered": "site_verify_fail_when_buffered",
    "launch_check_health_retries": "site_verify_health_retries",
    "launch_check_kernel_enabled": "site_verify_kernel_enabled",
    "launch_check_kernel_timeout_seconds": "site_verify_kernel_timeout_seconds",
    "launch_check_report_file": "site_verify_report_file",
    "launch_check_silence_seconds": "site_verify_silence_seconds",
    "metallb_ready_timeout_seconds": "site_metallb_ready_timeout_seconds",
    "pod_network_mtu": "site_pod_network_mtu",
    "pod_network_ready_timeout_seconds": "site_nodes_ready_timeout_seconds",
    "registry_storage_dir": "site_registry_storage_dir",
    "reverse_proxy_extra_directives": "site_proxy_extra_directives",
    "reverse_proxy_hsts_seconds": "site_proxy_hsts_seconds",
    "reverse_proxy_max_body_size": "site_proxy_max_body_size",
    "reverse_proxy_stream_timeout_seconds": "site_proxy_stream_timeout_seconds",
    "reverse_proxy_trusted_proxies": "site_proxy_trusted_proxies",
    "worker_ignore_preflight_errors": "site_kubeadm_ignored_errors",
    "worker_recovery_seconds": "site_worker_recovery_seconds",
    "worker_timeout_seconds": "site_kubeadm_join_timeout_seconds",
    "worker_token_ttl_seconds": "site_join_token_ttl_seconds",
}

# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The network plugin: tells the table whose address a pod has, before the pod's first program starts.

It is chained after the plugins that give the pod its network, https://www.cni.dev/docs/spec/, and passes on what they did.
A pod of a hub's namespace does not start where its address cannot be told; others do, as nothing holds them back. Where
guard.json cannot be read no pod starts, since nobody knows which namespaces are a hub's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from ironbinder_guard.config import CONFIG_FILE, Config, ConfigError, read_config, verdict
from ironbinder_guard.kernel import Nft, NftError, forget_flows, remove_pods, set_pod
from ironbinder_guard.records import Record, all_records, locked, read_record, remove_record, write_record

VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
# https://www.cni.dev/docs/spec/#error: 4 invalid environment, 7 invalid configuration, 11 try again later.
BAD_ENVIRONMENT, BAD_CONFIG, TRY_AGAIN = 4, 7, 11

# Who is still there, in the configuration that comes with GC.
VALID = "cni.dev/valid-attachments"


class PluginError(Exception):
    """What the caller is told, with a code of the specification."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def main(environment: Mapping[str, str], text: str) -> int:
    """Do what CNI_COMMAND says. Prints a result or an error as JSON; 0 when all is well."""
    started = time.monotonic()
    version = "1.0.0"
    try:
        conf = _conf(text)
        version = str(conf.get("cniVersion") or "0.3.1")
        command = environment.get("CNI_COMMAND", "")
        if command == "VERSION":
            print(json.dumps({"cniVersion": version, "supportedVersions": list(VERSIONS)}))
            return 0
        if version not in VERSIONS:
            raise PluginError(1, f"version {version} of the specification is not known here")
        doer = {"ADD": _add, "DEL": _delete, "CHECK": _check, "GC": _collect, "STATUS": _status}.get(command)
        if doer is None:
            raise PluginError(BAD_ENVIRONMENT, f"CNI_COMMAND is {command!r}")
        doer(conf, environment, started)
        return 0
    except PluginError as error:
        told = {"cniVersion": version, "code": error.code, "msg": f"ironbinder-guard: {error}", "details": ""}
        print(json.dumps(told))
        return 1


def _conf(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text or "{}")
    except ValueError as error:
        raise PluginError(BAD_CONFIG, f"the network's configuration is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise PluginError(BAD_CONFIG, "the network's configuration is no JSON object")
    return data


def _config(conf: Mapping[str, Any]) -> Config:
    try:
        return read_config(str(conf.get("config") or CONFIG_FILE))
    except ConfigError as error:
        raise PluginError(BAD_CONFIG, str(error)) from error


def _arguments(environment: Mapping[str, str]) -> dict[str, str]:
    """CNI_ARGS, a list of NAME=VALUE with semicolons between them."""
    pairs = (part.partition("=") for part in environment.get("CNI_ARGS", "").split(";"))
    return {name: value for name, _, value in pairs}


def _key(environment: Mapping[str, str]) -> str:
    container = environment.get("CNI_CONTAINERID", "")
    if not container:
        raise PluginError(BAD_ENVIRONMENT, "CNI_CONTAINERID is empty")
    return f"{container}-{environment.get('CNI_IFNAME', '')}"


def _address(conf: Mapping[str, Any]) -> str:
    """The pod's IPv4 address, as the plugins before say. IPv6 is dropped, whoever has it."""
    result = conf.get("prevResult")
    if not isinstance(result, dict):
        raise PluginError(
            BAD_CONFIG, "there is no prevResult: name ironbinder-guard after the plugin that connects pods"
        )
    for entry in result.get("ips") or []:
        address = str(entry.get("address", "")).partition("/")[0]
        if address and ":" not in address:
            return address
    raise PluginError(BAD_CONFIG, "prevResult has no IPv4 address")


def tell(config: Config, address: str, namespace: str, name: str) -> None:
    """Have the table know an address. The table is loaded where it is missing. Raises NftError."""
    nft, told = Nft(config.nft), verdict(config, namespace, name)
    try:
        if told is None:
            # Another pod may have had this address, and nobody told the plugin that it went.
            if address in nft.pods():
                nft.change(remove_pods([address]))
        else:
            set_pod(nft, address, told)
    except NftError:
        # Imported here, because it costs every pod some milliseconds, and is seldom needed.
        from ironbinder_guard.table import Guard  # noqa: PLC0415

        # All records are in it, with the one that was written just now.
        Guard(config).load_locked()


def _add(conf: Mapping[str, Any], environment: Mapping[str, str], started: float) -> None:
    config, key = _config(conf), _key(environment)
    address, arguments = _address(conf), _arguments(environment)
    namespace, name = arguments.get("K8S_POD_NAMESPACE", ""), arguments.get("K8S_POD_NAME", "")
    if not namespace or not name:
        raise PluginError(BAD_ENVIRONMENT, "CNI_ARGS names no pod (K8S_POD_NAMESPACE, K8S_POD_NAME)")
    try:
        with locked(config.state_dir):
            record = Record(key, address, namespace, name, time.time())
            write_record(config.state_dir, record)
            tell(config, address, namespace, name)
            if namespace in config.hubs:
                forget_flows(address)
            spent = round((time.monotonic() - started) * 1000)
            write_record(config.state_dir, record._replace(milliseconds=spent))
    except (NftError, OSError) as error:
        if namespace in config.hubs:
            raise PluginError(
                TRY_AGAIN, f"pod {namespace}/{name} is not let in, as the guard does not work: {error}"
            ) from error
        print(f"ironbinder-guard: {namespace}/{name} starts without a guard: {error}", file=sys.stderr)
    print(json.dumps({**conf["prevResult"], "cniVersion": conf.get("cniVersion")}))


def _forget(config: Config, key: str) -> None:
    """Forget a connection, and its address unless another has it by now."""
    record = read_record(config.state_dir, key)
    remove_record(config.state_dir, key)
    if record is None or any(other.address == record.address for other in all_records(config.state_dir)):
        return
    try:
        Nft(config.nft).change(remove_pods([record.address]))
    except NftError as error:  # not there, or no table: then nothing is known of it either
        print(f"ironbinder-guard: {record.address}: {error}", file=sys.stderr)


def _delete(conf: Mapping[str, Any], environment: Mapping[str, str], _started: float) -> None:
    """Never fails for long: a pod that cannot be forgotten would stay for ever."""
    try:
        config = _config(conf)
        with locked(config.state_dir):
            _forget(config, _key(environment))
    except (PluginError, OSError) as error:
        print(f"ironbinder-guard: {error}", file=sys.stderr)


def _collect(conf: Mapping[str, Any], _environment: Mapping[str, str], _started: float) -> None:
    config = _config(conf)
    if VALID not in conf:
        raise PluginError(BAD_CONFIG, f"{VALID} is missing: nothing is forgotten")
    valid = {f"{entry.get('containerID')}-{entry.get('ifname')}" for entry in conf[VALID] or []}
    try:
        with locked(config.state_dir):
            for record in all_records(config.state_dir):
                if record.key not in valid:
                    _forget(config, record.key)
    except OSError as error:
        raise PluginError(TRY_AGAIN, str(error)) from error


def _check(conf: Mapping[str, Any], environment: Mapping[str, str], _started: float) -> None:
    config = _config(conf)
    record = read_record(config.state_dir, _key(environment))
    if record is None:
        raise PluginError(TRY_AGAIN, "nobody told this pod's address")
    told = verdict(config, record.namespace, record.name)
    try:
        if told and Nft(config.nft).pods().get(record.address) != told:
            raise PluginError(TRY_AGAIN, f"the table does not know {record.address} as {told}")
    except NftError as error:
        raise PluginError(TRY_AGAIN, str(error)) from error


def _status(conf: Mapping[str, Any], _environment: Mapping[str, str], _started: float) -> None:
    """Ready where the configuration can be read: the first pod loads a table that is missing."""
    config = _config(conf)
    if not os.access(config.nft, os.X_OK):
        raise PluginError(50, f"{config.nft} is missing: install the package nftables")

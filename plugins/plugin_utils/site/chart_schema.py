# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs' values against the chart's own schema, before helm refuses them in the last stage but one.

Values are looked at where they are at hand, on the controller, and what leaves is about them: paths and
types, never a value. The rules of `site/rules/chart.py` tell it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_files import (
    Chart,
    ChartError,
    ChartSource,
    Get,
    load_chart,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest

__all__ = ["SETTINGS", "TOKEN", "check_hub_values", "coalesce", "look_at_hub_values"]

Way = tuple[str, ...]

# What the site sets elsewhere, and rules of its own look at. Only the shape of the values counts here.
SETTINGS = Settings("registry.example.org", "binder/site-", "user", "password", ca_checksum="x")
TOKEN = "0" * 64
# A hub with more faults than these has one cause.
MOST_FAULTS = 20
MOST_CHARACTERS = 80
TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def _plain(value: Any) -> Any:
    """Copy a value as JSON has it, so that Helm and the schema see the same keys."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def coalesce(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Put a chart's defaults below values as Helm does, where a null drops the default of its name.

    Source: https://helm.sh/docs/chart_template_guide/values_files/#deleting-a-default-key
    """
    result = dict(values)
    for key, default in defaults.items():
        if key not in values:
            result[key] = default
        elif values[key] is None:
            del result[key]
        elif isinstance(values[key], Mapping) and isinstance(default, Mapping):
            result[key] = coalesce(values[key], default)
    return result


def _enabled(condition: str, values: Mapping[str, Any]) -> bool:
    for way in (part.strip() for part in condition.split(",")):
        found: Any = values
        for key in way.split("."):
            found = as_mapping(found).get(key)
        if isinstance(found, bool):
            return found
    return True


def _type_of(value: Any) -> str:
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (Mapping, "object"))
    return (
        "null" if value is None else next((name for kind, name in kinds if isinstance(value, kind)), "array")
    )


def _types(schemas: Iterable[Any]) -> list[str]:
    """Types that these schemas take, [] where one of them does not say."""
    found: list[str] = []
    for entry in schemas:
        kinds = as_list(as_mapping(entry).get("type"))
        if not kinds:
            return []
        found += kinds
    return list(dict.fromkeys(found))


def _wrong_type(value: Any, types: Sequence[str]) -> str:
    wanted = " or ".join(TYPES.get(kind, kind) for kind in types)
    return f"is {TYPES[_type_of(value)]}, and the chart takes {wanted}"


def _told(error: Any) -> Iterator[tuple[Way, str, str]]:
    """Say one error in words of our own, as jsonschema's have the values in them: (way, message, suggestion)."""
    way = tuple(str(part) for part in error.absolute_path)
    kind, wanted, value = error.validator, error.validator_value, error.instance
    if kind == "additionalProperties" and wanted is False:
        known = list(as_mapping(error.schema.get("properties")))
        patterns = list(as_mapping(error.schema.get("patternProperties")))
        for key in value:
            if key in known or any(re.search(pattern, key) for pattern in patterns):
                continue
            meant = closest(key, known)
            yield (*way, key), "the chart has no such key", ".".join((*way, meant)) if meant else ""
    elif kind == "type":
        yield way, _wrong_type(value, as_list(wanted)), ""
    elif kind in ("anyOf", "oneOf"):
        types = _types(wanted)
        fits = not types or _type_of(value) in types
        form = f"fits none of the forms that the chart takes ({kind})"
        yield way, form if fits else _wrong_type(value, types), ""
    elif kind in ("enum", "const"):
        choices = [
            TYPES["null"] if entry is None else str(entry)
            for entry in (wanted if kind == "enum" else [wanted])
        ]
        yield way, f"is none of {', '.join(choices)}", ""
    elif kind == "required":
        yield (
            way,
            f"lacks {', '.join(key for key in wanted if key not in value)}, which the chart demands",
            "",
        )
    else:
        yield way, f"is not as the chart takes it ({kind}: {str(wanted)[:MOST_CHARACTERS]})", ""


def _judge(
    chart: Chart, values: Mapping[str, Any], judges: Any, way: Way = ()
) -> Iterator[tuple[Way, str, str]]:
    """Judge values by the schemas of a chart and its subcharts, as Helm does."""
    whole = coalesce(values, chart.defaults)
    if chart.schema is not None:
        for error in judges(chart.schema, whole):
            for inner, message, meant in _told(error):
                yield (*way, *inner), message, ".".join((*way, meant)) if meant else ""
    for key, condition, subchart in chart.subcharts:
        if _enabled(condition, whole):
            yield from _judge(subchart, as_mapping(whole.get(key)), judges, (*way, key))


def _judges() -> Callable[[Mapping[str, Any], Mapping[str, Any]], list[Any]]:
    """Load the library, which takes its time, and give what finds a schema's errors in values."""
    try:
        import jsonschema  # noqa: PLC0415 only where a hub has values of its own
        from referencing import Registry  # noqa: PLC0415
    except ImportError as error:
        raise ChartError("the Python package jsonschema is missing on the controller") from error

    def errors(schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[Any]:
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
        try:
            kind.check_schema(schema)
            # An empty register, as the library would fetch what a schema refers to from the network.
            found = list(kind(schema, registry=Registry()).iter_errors(values))
        except Exception as error:  # a broken schema has many ways to fail
            told = str(error).splitlines()[0][:MOST_CHARACTERS] if str(error) else type(error).__name__
            raise ChartError(f"its values.schema.json cannot be used: {told}") from error
        return found

    return errors


def _holder(way: Way, hub: Mapping[str, Any]) -> str:
    """Which of a hub's two sections has this way, or most of it."""

    def depth(section: str) -> int:
        found, count = hub.get(section), 0
        for key in way:
            if isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                break
            count += 1
        return count

    return "secret_values" if depth("secret_values") > depth("values") else "values"


def _values_of(hub: Mapping[str, Any]) -> dict[str, Any]:
    """What role binderhub would hand to helm for a hub with these sections."""
    entry = resolve_hubs({"hub": hub}, "https://hub.example.org", "192.0.2.1")["hub"]
    told = hub_values(entry, SETTINGS, TOKEN, TOKEN)
    return merge(told["config"], told["secrets"])


def check_hub_values(hubs: Any, source: ChartSource, get: Get) -> dict[str, Any]:
    """Judge the hubs' own values by the schema of the chart.

    Args:
        hubs: `site_hubs` with its values and secret values.
        source: the pinned chart.
        get: gives a URL's content, at most `chart_files.ARCHIVE_BYTES` and one; may raise anything.

    Returns:
        `faults` [{hub, path, message, suggestion}], where path begins with values or secret_values,
        and `unchecked`, why the values could not be judged, or ``. No value is in it. Never raises.
    """
    try:
        return _checked(hubs, source, get)
    except ChartError as error:
        return {"faults": [], "unchecked": str(error)}
    except (
        Exception
    ) as error:  # values have more shapes than anybody thinks of; the text may hold one of them
        return {"faults": [], "unchecked": f"judging the values ended with {type(error).__name__}"}


def _checked(hubs: Any, source: ChartSource, get: Get) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {}
    for name, hub in as_mapping(hubs).items():
        given = {key: _plain(as_mapping(as_mapping(hub).get(key))) for key in ("values", "secret_values")}
        if any(given.values()):
            own[name] = given
    faults: list[dict[str, str]] = []
    if not own:
        return {"faults": faults, "unchecked": ""}
    chart, judges = load_chart(source, get), _judges()
    # What the role's own values lack by a chart's schema is no fault of the site's.
    ours = set(_judge(chart, _values_of({}), judges))
    for name, hub in own.items():
        found = [told for told in _judge(chart, _values_of(hub), judges) if told not in ours]
        for way, message, meant in list(dict.fromkeys(found))[:MOST_FAULTS]:
            path = ".".join(key[:MOST_CHARACTERS] for key in (_holder(way, hub), *way))
            faults.append({"hub": name, "path": path, "message": message, "suggestion": meant})
    return {"faults": faults, "unchecked": ""}


def look_at_hub_values(site: Site, hubs: Any, controller: Mapping[str, Any], get: Get) -> dict[str, Any]:
    """Judge a site's hubs, with what `controller_view.look` says of their chart. See `check_hub_values`."""
    chart, common = as_mapping(controller.get("chart")), site.text("site_binderhub_chart_version")
    versions, archives = as_list(chart.get("versions")), as_mapping(chart.get("other_archives"))
    # chart-not-found and chart-version-unknown tell what is wrong there.
    if as_text(chart.get("error")):
        return {"faults": [], "unchecked": ""}
    by_version: dict[str, dict[str, Any]] = {}
    for name, hub in as_mapping(hubs).items():
        version = as_text(as_mapping(hub).get("chart_version")) or common
        by_version.setdefault(version, {})[name] = hub
    told: dict[str, Any] = {"faults": [], "unchecked": ""}
    for version, own in by_version.items():
        if versions and version not in versions:
            continue
        archive = as_mapping(chart.get("archive") if version == common else archives.get(version))
        source = ChartSource(
            site.text("site_binderhub_chart_repository"),
            site.text("site_binderhub_chart"),
            version,
            as_text(archive.get("url")),
            as_text(archive.get("digest")),
            site.text("site_kubernetes_client_host") in ("", "localhost"),
        )
        found = check_hub_values(own, source, get)
        told = {
            "faults": told["faults"] + found["faults"],
            "unchecked": told["unchecked"] or found["unchecked"],
        }
    return told

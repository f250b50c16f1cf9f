"""The settings that a class of settings has, one by one.

Contents: `Setting`, `settings_in`, `known_paths`, `NAME`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from audiomtl.settings.table import Condition, Table, conditions_of

NAME = "NAME"  # stands in a path for the name of a table that the file chooses, such as that of a head


@dataclass(frozen=True)
class Setting:
    """One setting: its path, the field that describes it, and when it is used.

    ``conditions`` name settings by their whole paths; one of them must hold. Without any the setting is
    always used.
    """

    path: str
    field: FieldInfo
    conditions: tuple[Condition, ...]

    @property
    def number(self) -> type | None:
        """int or float where the setting is a number, else None."""
        found = plain(self.field.annotation)
        return found if found in (int, float) else None

    @property
    def never(self) -> bool:
        """Whether no kind uses it."""
        extra = self.field.json_schema_extra
        return isinstance(extra, dict) and extra.get("used_when") == []


def settings_in(schema: Any, raw: Mapping[str, Any] | None = None, prefix: str = "") -> Iterator[Setting]:
    """Every setting of a class of settings, in its order.

    Of a table of tables (``[heads.NAME]``) those of every table in ``raw``.
    """
    for name, field in schema.model_fields.items():
        annotation, path = plain(field.annotation), f"{prefix}{name}"
        if isinstance(annotation, type) and issubclass(annotation, Table):
            inner = list(settings_in(annotation, _inner(raw, name), f"{path}."))
            outer = _resolved(field, schema, prefix)
            yield from [Setting(one.path, one.field, _both(outer, one.conditions)) for one in inner]
        elif get_origin(annotation) is dict:
            of, given = get_args(annotation)[1], _inner(raw, name)
            table = isinstance(of, type) and issubclass(of, Table)
            for key in (given or {}) if raw is not None else [NAME]:
                if table:
                    yield from settings_in(of, _inner(given, key), f"{path}.{key}.")
                else:
                    yield Setting(f"{path}.{key}", field, ())
        else:
            yield Setting(path, field, _resolved(field, schema, prefix))


def known_paths(schema: Any, raw: Mapping[str, Any]) -> dict[str, Setting]:
    """Settings by path; those that the file does not have among them."""
    return {setting.path: setting for setting in settings_in(schema, raw)}


def plain(annotation: Any) -> Any:
    """An annotation without ``Annotated`` and ``| None``."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        members = [one for one in get_args(annotation) if one is not NoneType]
        return plain(members[0]) if len(members) == 1 else Union[tuple(members)]  # noqa: UP007
    return annotation


def _inner(raw: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    inner = (raw or {}).get(name, {})
    return None if raw is None else inner if isinstance(inner, Mapping) else {}


def _resolved(field: FieldInfo, schema: Any, prefix: str) -> tuple[Condition, ...]:
    return tuple(
        {
            f"{prefix}{path}" if path in schema.model_fields else path: wanted
            for path, wanted in condition.items()
        }
        for condition in conditions_of(field)
    )


def _both(outer: tuple[Condition, ...], inner: tuple[Condition, ...]) -> tuple[Condition, ...]:
    if not outer or not inner:
        return outer or inner
    return tuple({**one, **other} for one in outer for other in inner)

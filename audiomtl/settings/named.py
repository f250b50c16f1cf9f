"""Settings that name a module: a kind of head, a join, a pooling, a scaling ...; each is one file of a
package, found by its file name.

So a variant is added by adding a file. The package is listed, never imported: checking settings stays light.

Contents: `FileIn`, `TablesIn`, `names`, `modules`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

PROJECT = Path(__file__).parents[1]  # the folder of the package audiomtl


def names(package: str) -> list[str]:
    """Names of the modules in a package of audiomtl, sorted.

    Those that begin with an underscore belong to the package itself.
    """
    folder = PROJECT.joinpath(*package.split(".")[1:])
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


@dataclass(frozen=True)
class FileIn:
    """``Annotated[str, FileIn("audiomtl.nn.pooling")]``: the name of a module in a package.

    Any other is refused with those that exist.
    """

    package: str

    @property
    def choices(self) -> list[str]:
        return names(self.package)

    def __get_pydantic_core_schema__(self, *_: Any) -> CoreSchema:
        return core_schema.literal_schema(self.choices)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": self.choices}


@dataclass(frozen=True)
class TablesIn:
    """``Annotated[Augmentation | None, TablesIn("audiomtl.data.augmentation")]``: a table whose inner tables
    are named after modules in a package.
    """

    package: str


def modules(schema: Any, raw: Mapping[str, Any]) -> list[str]:
    """Dotted names of the modules that a table of settings names, sorted: what a training looks up and no
    import statement shows.

    Parameters
    ----------
    schema : the class of the table. raw : the table, which need not be valid.
    """
    return sorted(set(_modules(schema, raw)))


def _modules(annotation: Any, value: Any) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items() if isinstance(value, Mapping) else ():
            inner = value.get(name)
            files = [mark for mark in field.metadata if isinstance(mark, FileIn)]
            yield from (f"{mark.package}.{inner}" for mark in files if inner in mark.choices)
            tables = [mark for mark in field.metadata if isinstance(mark, TablesIn)]
            named = [key for key in inner or () if isinstance(inner[key], Mapping)] if tables else []
            yield from (f"{mark.package}.{key}" for mark in tables for key in named)
            yield from _modules(field.annotation, inner)
    elif get_origin(annotation) is dict:
        for inner in value.values() if isinstance(value, Mapping) else ():
            yield from _modules(get_args(annotation)[1], inner)
    else:  # Annotated, a union, ...
        for inner in get_args(annotation):
            yield from _modules(inner, value)

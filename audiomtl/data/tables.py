"""Tables that people write: CSV with commas, semicolons or tabs in any common encoding, JSON lines, Parquet.

Conventions: the first row has the names of the columns, which are stripped and NFC-normalized. An empty cell
is a missing value and no word is (a class may be called "None" or "NA"). Rows are counted from 1, without the
header. Separator, encoding and decimal comma are found; what was assumed is returned as text. A table that
two readers could understand differently is refused: rows of different lengths, columns of one name.

Contents: `read`, `Read`, `rows_of`, `decoded`.
"""

import csv
import decimal
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from audiomtl.errors import MissingData, UserError
from audiomtl.settings.validation import show

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson")
# what these files begin with, or are called: a spreadsheet is no table of one kind of cells
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
OLE = b"\xd0\xcf\x11\xe0"  # of .xls
ZIP = b"PK\x03\x04"  # of .xlsx, .ods, .numbers
SOUNDS = re.compile(r"\.(wav|flac|ogg|oga|mp3|aif|aiff|opus|m4a|sph|npy|npz)$", re.IGNORECASE)
LONGEST_CELL = 2**31 - 1  # characters; the csv module's own limit is 131,072, less than the notes of a sonata
NAMED = 3  # how many rows a message names


class Read(NamedTuple):
    """A table as it was read."""

    table: pd.DataFrame  # one row per clip; cells of the columns read as text are str, or NaN where empty
    assumptions: tuple[str, ...]  # what was assumed, one line each; nothing for commas and UTF-8


def read(path: str | Path, *, text: Collection[str] = ()) -> Read:
    """Read a table.

    Parameters
    ----------
    path : the file; ``.parquet`` is Parquet, ``.jsonl`` JSON lines, everything else is CSV.
    text : columns whose cells stay as they are written: "007" stays "007". Of the other columns, those in
        which every cell is a number become numbers, as pandas does it.

    Raises
    ------
    MissingData : no such file.
    UserError : a spreadsheet; an empty file, a header without rows, no header; a row with more or fewer cells
        than the header, a trailing separator, an unclosed quote; two columns of one name, a column without a
        name; an unknown encoding.
    """
    place = Path(path)
    if not place.is_file():
        raise MissingData(f"{place}: {'is a folder, not a table' if place.is_dir() else 'no such file'}")
    try:
        content = place.read_bytes()
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror})") from None
    _refuse_spreadsheet(place, content)
    if place.suffix.lower() in PARQUET or content[:4] == b"PAR1":
        return _parquet(place)
    if place.suffix.lower() in JSON_LINES:
        return Read(_json_lines(place, content), ())
    written, separator, encoding = _written(place, content)
    header, *rows = _rows(place, written, separator)
    if not rows:
        raise UserError(f"{place}: has a header ({', '.join(header)[:80]}) but no rows; write a row per clip")
    names = _names(place, header, rows, separator)
    decimal = "," if separator == ";" and _has_decimal_commas(rows) else "."
    assumptions = [f"{place.name}: columns are separated by {SEPARATORS[separator]}"] * (separator != ",")
    assumptions += [f"{place.name}: encoding {encoding}"] * (encoding not in ("UTF-8", "ASCII"))
    assumptions += [f"{place.name}: numbers have a decimal comma"] * (decimal == ",")
    table = pd.read_csv(
        io.StringIO(written),
        sep=separator,
        header=0,
        names=names,
        index_col=False,
        dtype=dict.fromkeys(text, str),
        keep_default_na=False,
        na_values=[""],
        low_memory=False,
        decimal=decimal,
        engine="c",
    )
    return Read(table, tuple(assumptions))


def rows_of(path: Path) -> list[list[str]]:
    """All rows of a small table of text, the header among them if there is one; of equal length.

    Raises
    ------
    UserError : as `read`, but for what concerns the header.
    """
    written, separator, _ = _written(path, path.read_bytes())
    return _rows(path, written, separator)


def _written(place: Path, content: bytes) -> tuple[str, str, str]:
    """Text of a table with plain line ends, its separator and its encoding."""
    _refuse_spreadsheet(place, content)
    text, encoding = decoded(place, content)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise UserError(
            f"{place}: the table is empty; write a row of column names, such as path,label, and then a row"
            " for each clip"
        )
    if hint := re.match(r"sep=(.)\n", text):  # Excel's own way to say it
        return text[hint.end() :], hint[1], encoding
    return text, _separator(place, text), encoding


def _refuse_spreadsheet(place: Path, content: bytes) -> None:
    if place.suffix.lower() in SPREADSHEETS or content.startswith((OLE, ZIP)):
        raise UserError(
            f"{place}: is a spreadsheet, but a table must be CSV or Parquet; open it and save the sheet as"
            ' "CSV UTF-8"'
        )


def _parquet(place: Path) -> Read:
    try:
        table = pd.read_parquet(place)
    except Exception as error:  # pandas and pyarrow each raise their own
        raise UserError(
            f"{place}: cannot be read as CSV or Parquet ({' '.join(str(error).split())[:120]})"
        ) from None
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    table.columns = pd.Index(_checked_names(place, [str(name) for name in table.columns]))
    if table.empty:
        raise UserError(f"{place}: the table has no rows; write a row per clip")
    columns = {name: _plain_column(table[name]) for name in table.columns}
    left_out = [name for name, column in columns.items() if column is None]
    kept = {name: column for name, column in columns.items() if column is not None}
    remark = f"{place.name}: column {', '.join(left_out)} has bytes, which are not read"
    return Read(pd.DataFrame(kept), (remark,) * bool(left_out))


def _plain_column(column: pd.Series) -> pd.Series | None:
    """A column as a CSV would give it: numbers, text, or lists of them; None for bytes.

    Dates become text, decimals numbers; missing values of pandas' own types NaN or None.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return column
    if pd.api.types.is_numeric_dtype(column.dtype) and not isinstance(column.dtype, np.dtype):
        return pd.Series(column.tolist(), index=column.index) if column.notna().all() else _cells(column)
    if column.map(lambda cell: isinstance(cell, bytes)).any():
        return None
    return _cells(column)


def _cells(column: pd.Series) -> pd.Series:
    cells = [_plain_cell(cell) for cell in column.astype(object)]
    if any(isinstance(cell, float) for cell in cells) and not any(
        isinstance(cell, str | list | bool | dict | np.ndarray) for cell in cells
    ):
        return pd.Series(cells, index=column.index, dtype=float)
    return pd.Series(cells, index=column.index, dtype=object)


def _plain_cell(cell: Any) -> Any:
    if cell is None or isinstance(cell, str | bool | int | float):
        return cell
    if isinstance(cell, np.ndarray):
        if cell.dtype != object or all(isinstance(item, str) for item in cell):
            return cell
        return [_plain_cell(item) for item in cell]
    if isinstance(cell, list | tuple):
        return [_plain_cell(item) for item in cell]
    if isinstance(cell, dict):
        return {str(name): _plain_cell(item) for name, item in cell.items()}
    if isinstance(cell, decimal.Decimal):
        return float(cell)
    if pd.isna(cell):
        return None
    return cell.item() if isinstance(cell, np.generic) else str(cell)


def _json_lines(place: Path, content: bytes) -> pd.DataFrame:
    """One JSON object per line; its names are the columns."""
    rows = []
    for number, line in enumerate(decoded(place, content)[0].splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(
                f"{place} line {number}: is no JSON ({error}); write one object per line"
            ) from None
        if not isinstance(row, dict):
            raise UserError(
                f'{place} line {number}: {show(row)}: must be an object, such as {{"path": "a.wav"}}'
            )
        rows.append(dict(zip(_checked_names(place, [str(name) for name in row]), row.values(), strict=True)))
    if not rows:
        raise UserError(f"{place}: the table has no rows; write a JSON object per clip")
    return pd.DataFrame(rows)


def decoded(place: Path, content: bytes) -> tuple[str, str]:
    """Text of a file and the name of its encoding: UTF-8, UTF-16, else Windows-1252.

    Raises
    ------
    UserError : zero bytes, or a byte order mark that the rest does not keep to.
    """
    marks = {
        b"\xef\xbb\xbf": ("utf-8-sig", "UTF-8"),
        b"\xff\xfe": ("utf-16", "UTF-16"),
        b"\xfe\xff": ("utf-16", "UTF-16"),
    }
    for mark, (codec, name) in marks.items():
        if content.startswith(mark):
            try:
                return content.decode(codec), name
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{place}: byte {error.start} is not {name}, which its first bytes announce; save it as"
                    " UTF-8"
                ) from None
    if b"\0" in content:
        head = content[: 2 * (len(content[:1000]) // 2)]
        odd, even = head[1::2].count(0), head[0::2].count(0)
        if max(odd, even) > 0.4 * len(head) / 2 and len(content) % 2 == 0:
            codec = "utf-16-le" if odd > even else "utf-16-be"
            try:
                return content.decode(codec), "UTF-16 without a byte order mark"
            except UnicodeDecodeError:
                pass
        raise UserError(f"{place}: contains zero bytes, so it is no text; save it as UTF-8")
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252"), "Windows-1252 (Latin-1), because it is not UTF-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "Latin-1, because it is not UTF-8"


def _separator(place: Path, text: str) -> str:
    """The separator that gives the header the most columns, and most rows as many cells as the header."""
    head = "\n".join([line for line in text.splitlines()[:200] if line.strip()][:50])
    best, most = ",", (0.0, 0)
    for separator in SEPARATORS:
        try:
            rows = [row for row in csv.reader(io.StringIO(head), delimiter=separator) if row]
        except csv.Error:
            continue
        columns = len(rows[0])
        alike = sum(len(row) == columns for row in rows) / len(rows)
        if columns > 1 and (round(alike, 1), columns) > most:
            best, most = separator, (round(alike, 1), columns)
    if most[1] < 2 and place.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    return best


def _rows(place: Path, text: str, separator: str) -> list[list[str]]:
    """Header and rows, each as long as the header."""
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, strict=True) if row]
    except csv.Error as error:
        raise UserError(
            f"{place}: a quotation mark is not closed or stands inside a cell ({error}); put cells that"
            ' contain one in quotes and double it: "say ""a"""'
        ) from None
    finally:
        csv.field_size_limit(limit)
    rows = [row for row in rows if len(row) > 1 or row[0].strip()]
    header, *rows = rows
    wrong = [number for number, row in enumerate(rows, 1) if len(row) != len(header)]
    trailing = [number for number in wrong if len(rows[number - 1]) > len(header)]
    if trailing and all(not "".join(rows[number - 1][len(header) :]).strip() for number in trailing):
        raise UserError(
            f"{place}: {_listed(trailing)} ends with {show(separator)} after the last of the {len(header)}"
            " columns; remove the trailing separators, or name the column in the header"
        )
    if wrong:
        row = rows[wrong[0] - 1]
        raise UserError(
            f"{place}: {_listed(wrong)} has {len(row)} cells, but the header has {len(header)} columns; put"
            f" cells that contain {show(separator)} in quotes, and leave empty cells empty"
        )
    return [header, *rows]


def _names(place: Path, header: list[str], rows: list[list[str]], separator: str) -> list[str]:
    sounds = [name for name in header if SOUNDS.search(name.strip())]
    if sounds or all(re.fullmatch(r"\s*-?[\d.]+\s*", name) for name in header):
        raise UserError(
            f"{place}: has no header: its first row is {', '.join(header)[:80]}; write the names of the"
            f" columns above it, such as path{separator}label"
        )
    names = list(header)
    if not names[0].strip() and [row[0] for row in rows] == [str(number) for number in range(len(rows))]:
        names[0] = "Unnamed: 0"  # the index that pandas writes
    return _checked_names(place, names)


def _checked_names(place: Path, names: list[str]) -> list[str]:
    names = [" ".join(unicodedata.normalize("NFC", name).split()) for name in names]
    if "" in names:
        raise UserError(
            f"{place}: column {names.index('') + 1} of {len(names)} has no name; name it in the header, or"
            " remove the column"
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        numbers = [str(number) for number, name in enumerate(names, 1) if name == twice[0]]
        raise UserError(
            f'{place}: columns {" and ".join(numbers)} are both named "{twice[0]}"; rename or remove one of'
            " them"
        )
    return names


def _has_decimal_commas(rows: list[list[str]]) -> bool:
    """Whether some cells are numbers with a comma, and none with a point."""
    commas = points = False
    for row in rows:
        for cell in row:
            commas |= bool(re.fullmatch(r"\s*-?\d+,\d+\s*", cell))
            points |= bool(re.fullmatch(r"\s*-?\d+\.\d+\s*", cell))
    return commas and not points


def _listed(rows: list[int]) -> str:
    """Rows in words: "row 3", "row 3 (and 12, 14 and 7 more)"."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    others = ", ".join(str(number) for number in rows[1 : NAMED + 1])
    more = f" and {len(rows) - NAMED - 1} more" if len(rows) > NAMED + 1 else ""
    return f"row {rows[0]} (and {others}{more})"

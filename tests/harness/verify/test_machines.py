"""The table of machines."""

from audiomtl.harness.record import provenance
from audiomtl.harness.verify.machines import append
from audiomtl.harness.verify.result import Verified

GOOD, BAD = Verified("one", True, "equal"), Verified("two", False, "moved")


def rows(place) -> list[list[str]]:
    lines = place.read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| 2")]


def test_each_machine_has_one_row_for_each_command(tmp_path, monkeypatch) -> None:
    place = tmp_path / "REPRODUCED.md"
    append(place, "audiomtl verify --quick", [GOOD, BAD])
    append(place, "audiomtl verify --quick", [GOOD, GOOD])
    append(place, "audiomtl verify one", [GOOD])
    assert [row[1:3] + row[5:] for row in rows(place)] == [
        ["`audiomtl verify --quick`", provenance.machine(), "2 of 2", "none"],
        ["`audiomtl verify one`", provenance.machine(), "1 of 1", "none"],
    ]
    monkeypatch.setattr(provenance, "machine", lambda: "another")
    append(place, "audiomtl verify --quick", [GOOD, BAD])
    assert [row[2] for row in rows(place)][2] == "another" and rows(place)[2][6] == "two"
    assert place.read_text().startswith("# Machines that reproduced the results\n\n| date |")


def test_a_page_keeps_its_text(tmp_path) -> None:
    place = tmp_path / "page.md"
    place.write_text("# Ours\n\nText.\n")
    append(place, "audiomtl verify one", [GOOD])
    assert place.read_text().startswith("# Ours\n\nText.\n\n| date |") and len(rows(place)) == 1

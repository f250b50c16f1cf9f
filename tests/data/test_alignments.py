"""`audiomtl.data.alignments`: a text of phones, and the pauses of its corpus."""

import pytest

from audiomtl.data.alignments import check_symbols, spoken_phones
from audiomtl.errors import UserError


def test_pauses_of_the_corpus_are_left_out() -> None:
    assert spoken_phones(["sil", "a", "_", "sil"], {"sil"}) == ["a", "_"]
    with pytest.raises(UserError, match=r"the text is pauses alone \(sil\)"):
        spoken_phones(["sil", "sil"], {"sil"})


def test_unknown_phones_are_named_beside_near_ones() -> None:
    check_symbols(["a"], [["a"]], ["a", "b"], phones=True)
    with pytest.raises(UserError, match=r'unknown symbols: "g" \(nearest ɡ\): the model knows a ɡ$'):
        check_symbols(["g"], [["g"]], ["a", "ɡ"], phones=True)

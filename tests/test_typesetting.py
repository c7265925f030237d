"""The book's own Sphinx extension: lines that break well."""

from docutils import nodes
from docutils.utils import new_document
from sources import script

typesetting = script("typesetting")


def test_a_number_keeps_its_unit():
    text = "95 % of 4 x 4 px, 2.5 dB, 3 xylophones and 8 x 8 x 3"
    expected = "95\u00a0% of 4\u00a0x\u00a04\u00a0px, 2.5\u00a0dB, 3 xylophones and 8\u00a0x\u00a08\u00a0x\u00a03"
    assert typesetting.kept_together(text) == expected
    assert typesetting.kept_together("10 min, 0.3 MB, 5 minutes") == "10\u00a0min, 0.3\u00a0MB, 5 minutes"
    assert typesetting.kept_together(" dB, of") == "\u00a0dB, of"  # behind a number of the run


def test_a_page_keeps_a_formula_with_what_touches_it_and_its_code_as_it_was():
    page = new_document("page")
    formula, other = nodes.math("", "f(x)"), nodes.math("", "y")
    sentence = nodes.paragraph("", "", nodes.Text("the set ("), formula, nodes.Text("), so 5 % and "), other)
    sentence += [nodes.Text(" alone. "), nodes.literal("", "5 %")]
    block = nodes.literal_block("", 'x = "5 %"')
    page += [sentence, nodes.container("", block, classes=["cell_input"])]
    typesetting.set_page(None, page)
    whole = sentence[1]
    assert whole["classes"] == ["rusr-whole"] and [part.astext() for part in whole] == ["(", "f(x)", "),"]
    typesetting.join(None, page, "page")
    assert sentence.astext() == "the set (f(x)), so 5\u00a0% and y alone. 5 %"
    assert isinstance(sentence[3], nodes.math)  # nothing touches it
    assert sentence[-1]["classes"] == ["rusr-whole"]  # code as short as that
    assert block.astext() == 'x = "5 %"'


def test_only_long_words_of_code_may_be_broken():
    page = new_document("page")
    codes = ["--accept-code-change", "rusr restore IN.png OUT.png", "tools/portraits/training/shares.py"]
    page += nodes.paragraph("", "", *(nodes.literal("", code) for code in codes))
    typesetting.set_page(None, page)
    assert [code["classes"] for code in page[0]] == [["rusr-whole"], ["rusr-words"], []]

"""What a digest of code sees, and what it does not; own methods and operators by "module:name"."""

import sys

import pytest

from rusr_core.own_code import OwnCodeError, digest_of_sources, find_object, source_digest
from rusr_core.sweeps import provenance

CODE = '"""A module."""\nimport math\n\ndef area(r):\n    """Of a circle."""\n    return math.pi * r * r\n'
SAME = {
    "comment": CODE + "# a note\n",
    "docstring": CODE.replace("Of a circle.", "Of a disc, in square pixels."),
    "no docstring": CODE.replace('    """Of a circle."""\n', ""),
    "layout": CODE.replace("math.pi * r * r", "(\n        math.pi * r * r\n    )"),
}
OTHER = {
    "operator": CODE.replace("r * r", "r + r"),
    "constant": CODE.replace("math.pi", "3.14"),
    "text that counts": CODE.replace("return math.pi * r * r", 'return "pi"'),
    "default": CODE.replace("(r)", "(r=1)"),
}


def of(text: str, name: str = "m") -> str:
    return digest_of_sources([(name, text.encode())])


@pytest.mark.parametrize("change", SAME)
def test_comments_docstrings_and_layout_do_not_count(change):
    assert of(SAME[change]) == of(CODE)


@pytest.mark.parametrize("change", OTHER)
def test_what_is_computed_counts(change):
    assert of(OTHER[change]) != of(CODE)
    assert of(CODE, "other") != of(CODE)


def test_modules_of_one_name_in_two_folders_are_two(tmp_path, monkeypatch):
    """The digest of the package names each module by its path in the package."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    digests = []
    for folder in ("one", "two"):
        (tmp_path / folder / "report.py").write_text("x = 1\n")
        provenance.code_digest.cache_clear()
        digests.append(provenance.code_digest())
        (tmp_path / folder / "report.py").unlink()
    provenance.code_digest.cache_clear()
    monkeypatch.undo()
    assert digests[0] != digests[1]


def test_what_has_no_effect_on_units_is_left_out_of_the_digest(tmp_path, monkeypatch):
    named = [name for name in provenance.WITHOUT_EFFECT_ON_UNITS if name.startswith(("metrics/", "sweeps/"))]
    missing = [name for name in named if not (provenance.PACKAGE / name).exists()]
    assert not missing, "renamed modules are named here, too"
    for folder in ("figures", "restoring"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)

    def digest() -> str:
        provenance.code_digest.cache_clear()
        return provenance.code_digest()

    (tmp_path / "restoring" / "report.py").write_text("x = 1\n")
    (tmp_path / "figures" / "panels.py").write_text("x = 1\n")
    before = digest()
    (tmp_path / "figures" / "panels.py").write_text("x = 2\n")
    assert digest() == before
    (tmp_path / "restoring" / "report.py").write_text("x = 2\n")
    assert digest() != before
    provenance.code_digest.cache_clear()


def test_an_own_module_counts_with_the_modules_beside_it(tmp_path, monkeypatch):
    """A method and a helper that it imports; not a module that it does not use."""
    monkeypatch.syspath_prepend(tmp_path)
    method, helper, other = (tmp_path / f"own_{name}.py" for name in ("method", "helper", "other"))
    method.write_text("import math\n\ndef run():\n    from own_helper import x\n    return x\n")
    helper.write_text("x = 1\n")
    other.write_text("x = 1\n")
    find_object("own_method:run")
    before = source_digest("own_method")
    other.write_text("x = 2\n")
    assert source_digest("own_method") == before
    helper.write_text("x = 2\n")
    changed = source_digest("own_method")
    assert changed != before
    method.write_text(method.read_text().replace("return x", "return -x"))
    assert source_digest("own_method") not in (before, changed)


@pytest.mark.parametrize(
    "text, reference, message",
    [
        ("", "just_a_word", "expected MODULE:NAME"),
        ("", "no_such_module_here:f", "cannot import no_such_module_here"),
        ("x = 1", "own_bad:f", "own_bad has no 'f'"),
        ("def f(:", "own_bad:f", "SyntaxError"),
        ("1 / 0", "own_bad:f", "ZeroDivisionError"),
        ("raise ValueError('first\\nsecond')", "own_bad:f", r"cannot import own_bad \(ValueError: first\)$"),
        ("import sys; sys.exit(0)", "own_bad:f", "cannot import own_bad .SystemExit: 0"),
        ("def __getattr__(name): raise RuntimeError('boom')", "own_bad:f", "no 'f' .RuntimeError: boom"),
    ],
)
def test_what_cannot_be_imported_is_one_line(text, reference, message, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("own_bad", None)
    (tmp_path / "own_bad.py").write_text(text + "\n")
    with pytest.raises(OwnCodeError, match=message) as caught:
        find_object(reference)
    assert "\n" not in str(caught.value)


def test_a_module_beside_it_may_be_broken(tmp_path, monkeypatch):
    """It may never be imported; what it holds counts byte by byte."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_lazy.py").write_text("def f():\n    import own_broken, own_package.part\n")
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package/__init__.py").write_text("raise ValueError('not today')\n")
    (tmp_path / "own_package/part.py").write_text("x = 1\n")
    digests = []
    for text in ("def f(:", "def f(: # more", "x = '\0'"):
        (tmp_path / "own_broken.py").write_text(text)
        digests.append(source_digest("own_lazy"))
    assert len(set(digests)) == 3

"""Every chapter runs with other parameters than its own; a parameter that no chapter has is an error, not a warning."""

from pathlib import Path

import papermill
import pytest

BOOK = Path(__file__).resolve().parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("*.ipynb"))
SECOND_SET = {"task": "denoising", "level": "S", "steps": 8, "num_images": 2, "seed": 5}


class UnknownParameterError(ValueError):
    """papermill itself only warns."""


def execute(chapter: Path, output: Path, parameters: dict) -> None:
    """Run a chapter by papermill; refuses parameters that its parameters cell does not define."""
    unknown = set(parameters) - set(papermill.inspect_notebook(str(chapter)))
    if unknown:
        raise UnknownParameterError(f"{chapter.name} has no parameter {', '.join(sorted(unknown))}")
    papermill.execute_notebook(
        str(chapter), str(output), parameters=parameters, kernel_name="python3", progress_bar=False
    )


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_runs_with_other_parameters(chapter, tmp_path):
    saved = tmp_path / "saved"
    execute(chapter, tmp_path / "out.ipynb", SECOND_SET | {"out_dir": str(saved)})
    if chapter.stem == "start":
        assert len(list(saved.glob("*-S-*.png"))) == 8  # four tasks, two portraits


def test_unknown_parameter_is_an_error(tmp_path):
    with pytest.raises(UnknownParameterError, match="start.ipynb has no parameter stepz"):
        execute(BOOK / "start.ipynb", tmp_path / "out.ipynb", {"stepz": 3})
    assert list(tmp_path.iterdir()) == []

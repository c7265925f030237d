"""A Sphinx extension: citations and references under one label, such as "Karras et al., 2020b".

Two works of the same authors and year get a letter each, in the order of the references, so that a citation says which
of them is meant.
"""

from collections import Counter
from string import ascii_lowercase

from pybtex.database import Person
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as Plain
from pybtex.style.labels import BaseLabelStyle


def short(people: list[str], year: str) -> str:
    """Last names and a year in the form of a citation: one name, two, or the first "et al."."""
    names = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
    return f"{names}, {year}"


def lettered(labels: list[str]) -> list[str]:
    """The labels, with a letter behind each that occurs more than once."""
    count, met = Counter(labels), Counter()
    found = []
    for label in labels:
        found.append(label + ascii_lowercase[met[label]] if count[label] > 1 else label)
        met[label] += 1
    return found


def _last(person: Person) -> str:
    """The last name with what stands before it, accents as letters."""
    return " ".join(str(part) for part in [*person.rich_prelast_names, *person.rich_last_names])


class Labels(BaseLabelStyle):
    """Author and year for each entry of a bibliography."""

    def format_labels(self, sorted_entries) -> list[str]:
        """What pybtex calls, with the entries in the order in which they are listed."""
        people = [[_last(one) for one in each.persons["author"]] for each in sorted_entries]
        years = [each.fields["year"] for each in sorted_entries]
        return lettered([short(*pair) for pair in zip(people, years, strict=True)])


class Style(Plain):
    """References as in the style "plain", sorted by author, with these labels."""

    default_label_style = Labels


def setup(_app) -> dict:
    """What Sphinx calls: the style gets its name, author_year."""
    register_plugin("pybtex.style.formatting", "author_year", Style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

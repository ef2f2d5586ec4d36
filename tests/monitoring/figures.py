"""Scraped figures by name and labels."""

from prometheus_client.parser import text_string_to_metric_families

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Figures:
    """Every sample of an answer."""
    found: Figures = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(figures: Figures, name: str, **labels: str) -> float:
    """One sample; 0 if there is none."""
    return figures.get((name, frozenset(labels.items())), 0)


def total(figures: Figures, name: str, **labels: str) -> float:
    """Sum of the samples that have these labels among others."""
    wanted = frozenset(labels.items())
    return sum(each for (found, those), each in figures.items() if found == name and wanted <= those)

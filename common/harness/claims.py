"""Claims as data: what is said, the criterion that decides, the verdict and a hand-written finding.

    Claim("Pixel MSE smears on a bimodal future.", "smear >= 0.75 at <= 1.05 times the Bayes floor",
          holds=lambda r: r["main"]["pixels"]["smear"].mean >= 0.75, verdict="holds",
          finding="The blur is the best answer: smear {main[pixels][smear]:.2f}.")

``verdict`` is what the page prints; ``check`` fails where ``holds`` says otherwise. In a finding
{file[variant][metric]:.2f} is a mean, {...:i2} the mean with its interval, {...:%1} a percentage,
and {file[variant][differences.metric]:i2} a paired difference.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from common.harness.results import read_results
from common.harness.tables import Column, find, format_interval

Verdict = Literal["holds", "fails", "not shown", "not tested"]


class Cell:
    """An interval that formats itself, with its mean, low, high and values as attributes."""

    def __init__(self, interval: Mapping[str, Any]) -> None:
        self.interval = interval
        self.mean, self.values = interval["mean"], interval["values"]
        self.low = interval["mean"] if interval["low"] is None else interval["low"]
        self.high = interval["mean"] if interval["high"] is None else interval["high"]

    def __format__(self, spec: str) -> str:
        match spec[:1]:
            case "i":
                return format_interval(self.interval, Column("", int(spec[1:] or 2)))
            case "%":
                return f"{100 * self.mean:.{spec[1:] or 0}f}%"
            case _:
                text = format(self.mean, spec or ".2f")
                return text.lstrip("-") if float(text) == 0 else text


class Row:
    """A variant or bound of a results file: row["smear"] is a Cell."""

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        self.metrics = metrics

    def __getitem__(self, metric: str) -> Cell:
        return Cell(self.metrics[metric])

    def __contains__(self, metric: str) -> bool:
        return metric in self.metrics


class File:
    """A results file: file["jepa"] is a Row; content is all of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.content = read_results(folder / f"{name}.json")

    def __getitem__(self, row: str) -> Row:
        return Row(find(self.folder, self.name, row))


class Results(dict):
    """The results files of a folder, by name: r["main"]["jepa"]["smear"].mean."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> File:
        self[name] = File(self.folder, name)
        return self[name]


@dataclass(frozen=True)
class Claim:
    """One claim; holds(results) is True, False, or None where nothing is shown either way."""

    text: str
    criterion: str
    verdict: Verdict
    finding: str
    holds: Callable[[Results], bool | None] | None = None

    def decided(self, results: Results) -> Verdict:
        """The verdict that the results give."""
        if self.holds is None:
            return "not tested"
        found = self.holds(results)
        return "not shown" if found is None else "holds" if found else "fails"

    def line(self, results: Results) -> str:
        """The bullet of a page. Raises UserError where a number is not in the results."""
        finding = self.finding.format_map(results)
        return f"- **{self.text}** *{self.verdict.capitalize()}.* {finding}"


@dataclass(frozen=True)
class Claims:
    """The claims of a part, a bullet each; criteria: with what decides each verdict."""

    claims: Sequence[Claim]
    criteria: bool = False

    def markdown(self, folder: Path) -> str:
        results = Results(folder)
        lines = []
        for claim in self.claims:
            lines.append(claim.line(results))
            if self.criteria:
                lines.append(f"  Criterion: {claim.criterion}.")
        return "\n".join(lines)

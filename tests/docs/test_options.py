"""The table of the options of the networks names those that their constructors have, with their defaults."""

import inspect

from docs.pages import ROOT
from orbitconv.models import MODELS

FROM_THE_DATA = {"basis", "in_channels", "out_channels", "num_classes"}


def constructors():
    """For each option, the networks that have it and their defaults, as the page writes them."""
    defaults = {}
    for model, kind in MODELS.items():
        for name, parameter in inspect.signature(kind).parameters.items():
            if name not in FROM_THE_DATA:
                defaults.setdefault(name, {})[model] = parameter.default
    return {
        name: f"all: {next(iter(of.values()))}" if len(of) == len(MODELS) and len(set(of.values())) == 1
        else ", ".join(f"{model}: {value}" for model, value in of.items())
        for name, of in defaults.items()
    }  # fmt: skip


def test_every_option_is_listed_with_the_networks_that_have_it_and_their_defaults():
    text = (ROOT / "docs" / "training.md").read_text("utf-8")
    lines = text.partition("## Options of the networks")[2].partition("\n## ")[0].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| `")]
    assert {option.strip().strip("`"): networks.strip() for option, networks, _ in rows} == constructors()
    assert all(len(about) > 10 for *_, about in rows)

"""What a sweep may change, from words."""

from dataclasses import replace

import pytest

from orbitconv.sweep import Dimension, parse_search, with_values
from orbitconv.sweep.search_space import check_space
from orbitconv.train import Network, TrainConfig, Training
from raising import refuses


@pytest.mark.parametrize(("word", "kind", "values"), [
    ("training.learning_rate=log:1e-3:1e-1", "log", (1e-3, 1e-1)),
    ("training.warmup=float:0.1:0.5", "float", (0.1, 0.5)),
    ("network.options.width=int:4:32", "int", (4, 32)),
    ("network.options.width=log-int:4:32", "log-int", (4, 32)),
    ("training.batch_size=choice:32, 64", "choice", (32, 64)),
    ("training.clip=choice:none,0.5,1e1", "choice", (None, 0.5, 10.0)),
    ("augmentation.flip=choice:true,False", "choice", (True, False)),
    ("network.basis=choice:none,exact-c4", "choice", (None, "exact-c4")),
])  # fmt: skip
def test_words_are_understood(word, kind, values):
    (found,) = parse_search([word])
    assert found == Dimension(name=word.partition("=")[0], kind=kind, values=values)
    assert list(map(type, found.values)) == list(map(type, values))


@pytest.mark.parametrize(("words", "message"), [
    ([], "one --search or more: NAME=int:LOW:HIGH"),
    (["training.epochs"], "such as training.learning_rate=log"),
    (["training.epochs=5"], "expects NAME=int"),
    (["training.epochs=normal:1:2"], "expects NAME=int"),
    (["training.epochs=choice:"], "expects NAME=int"),
    (["seed=int:1:5"], "settings of network, training, augmentation"),
    (["training=int:1:5"], "settings of network, training, augmentation"),
    (["hardware.device=choice:cpu,cuda"], "settings of network, training, augmentation"),
    (["training.epochs=int:1:2.5"], "two whole numbers LOW:HIGH after int"),
    (["training.warmup=float:0.1"], "two numbers LOW:HIGH after float"),
    (["training.warmup=float:0.5:0.1"], "LOW < HIGH, got"),
    (["training.warmup=float:0:nan"], "LOW < HIGH, got"),
    (["training.learning_rate=log:0:1"], "LOW < HIGH, both above zero, got"),
    (["training.epochs=choice:1,1"], "choices that differ"),
    (["training.epochs=int:1:2", "training.epochs=int:1:3"], r"names training\.epochs twice"),
])  # fmt: skip
def test_words_that_mean_nothing_are_refused(words, message):
    refuses(ValueError, message, parse_search, words)


@pytest.mark.parametrize(("word", "message"), [
    ("training.lr=log:1e-3:1", "training.lr is unknown; known beside it are epochs"),
    ("training.epochs=float:1:2", r"training.epochs=1\.0 .* should be a valid integer, got 1\.0"),
    ("training.warmup=float:0.5:1", "warmup between 0 and 1, got 1.0"),
    ("training.optimizer=choice:sgd,lion", "should be 'adamw' or 'sgd', got 'lion'"),
    ("training.epochs.last=int:1:2", r"training.epochs: should be a valid integer, got \{'last': 1\}"),
    ("network.option.width=int:1:2", "network.option is unknown; known beside it are model, basis, options"),
])  # fmt: skip
def test_every_bound_and_every_choice_must_make_sense(word, message):
    refuses(ValueError, message, lambda: check_space(TrainConfig(), parse_search([word])))


def test_values_go_where_their_names_say_and_nothing_else_changes():
    config = TrainConfig(seed=3, network=Network(options={"depth": 8}), training=Training(epochs=2))
    values = {"network.options.width": 5, "training.learning_rate": 0.1 + 0.2, "training.clip": None}
    assert with_values(config, values) == replace(
        config,
        network=Network(options={"depth": 8, "width": 5}),
        training=Training(epochs=2, learning_rate=0.1 + 0.2),
    )


def test_optuna_gets_the_same_bounds():
    optuna = pytest.importorskip("optuna")
    words = [
        "training.learning_rate=log:1e-3:1e-1",
        "network.options.width=log-int:4:32",
        "training.clip=choice:none,1",
    ]
    found = [one.distribution for one in parse_search(words)]
    assert found == [
        optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True),
        optuna.distributions.IntDistribution(4, 32, log=True),
        optuna.distributions.CategoricalDistribution((None, 1)),
    ]

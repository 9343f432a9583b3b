"""A sweep: what is searched, what is cut short, what counts, and what comes out."""

import json
import shlex
import signal
import statistics
import sys
from contextlib import ExitStack

import pytest

import tiny_training as tiny
from full_disk import files_no_longer_than
from orbitconv.cli.commands import parse
from orbitconv.sweep import Sweep, run_sweep, running, store
from orbitconv.sweep.search_space import parse_search
from orbitconv.train import Hardware, Network, Training, TrainNetwork, read_config, train_network
from raising import refuses

pytestmark = pytest.mark.usefixtures("tiny_by_name")

optuna = pytest.importorskip("optuna")


NETWORK = {"family": "plain", "group": "c1", "kernel": 3, "num_atoms": 9, "parameters": 1}


def sweep(out, **changed):
    usual = {
        "data": "tiny",
        "validation_images": 16,
        "network": Network(model="tiny", basis="none"),
        "training": Training(epochs=2, batch_size=16),
        "hardware": Hardware(device="cpu"),
        "search": ("training.learning_rate=log:1e-4:1", "network.options.dropout=choice:0.0,0.5"),
        "trials": 3,
    }
    return Sweep(out=out, **usual | changed)


def store_of(config):
    space = {one.name: one.distribution for one in parse_search(config.search)}
    return store.SweepStore(config.out, config.shared(config.base()), space, config.trials)


def stand_in(error_of):
    """A training that only says what its errors are."""

    def fit(_network, _examples, plan, *, on_epoch, **_):
        rows = []
        for epoch in range(1, plan.training.epochs + 1):
            rows.append({"epoch": epoch, "validation_error_percent": error_of(plan.training, epoch)})
            if on_epoch(rows[-1]):
                break
        return rows

    return fit


def trials(config):
    """Settings, errors at all epochs, and end of every trial, in the order they were begun."""
    return [
        (trial.params, trial.intermediate_values, trial.state.name)
        for trial in store_of(config).study.get_trials(deepcopy=False)
    ]


def test_the_best_settings_give_the_same_error_when_they_are_trained_again(tmp_path, monkeypatch):
    loaded = []

    def load(split, **options):
        loaded.append(split)
        return tiny.tiny_images(split, **options)

    monkeypatch.setitem(tiny.LOADERS, "tiny", load)
    outcome = run_sweep(sweep(tmp_path / "sweep"))
    assert loaded == ["train"]  # the test set is left alone
    assert read_config(tmp_path / "sweep" / "best.json") == outcome.best
    again = train_network(TrainNetwork(out=tmp_path / "again", config=tmp_path / "sweep" / "best.json"))
    first = outcome.record.rows[0]
    assert first["test_error_percent"] == again.rows[-1]["validation_error_percent"]
    errors = [float(row["test_error_percent"] or 0) for row in outcome.record.rows if row["ended"] == "trained"]
    assert errors == sorted(errors)
    assert first["training.learning_rate"] == outcome.best.training.learning_rate


def test_a_sweep_that_is_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr(
        running, "train_examples", stand_in(lambda training, epoch: 100 * training.learning_rate / epoch)
    )
    at_once, parted = sweep(tmp_path / "a", trials=9, startup=3), sweep(tmp_path / "b", trials=9, startup=3)
    run_sweep(at_once)
    for count in (1, 4, 9):
        run_sweep(sweep(tmp_path / "b", trials=count, startup=3))
    assert trials(parted) == trials(at_once)
    assert len({tuple(params.values()) for params, _, _ in trials(parted)}) == 9
    other = sweep(tmp_path / "c", trials=9, startup=3, seed=1)
    run_sweep(other)
    assert not {tuple(p.values()) for p, _, _ in trials(other)} & {tuple(p.values()) for p, _, _ in trials(parted)}


def test_trainings_that_are_worse_than_the_median_are_cut_short(tmp_path, monkeypatch):
    monkeypatch.setattr(
        running, "train_examples", stand_in(lambda training, epoch: 50 * training.learning_rate**0.1 / epoch)
    )
    config = sweep(tmp_path, trials=14, startup=3, prune_after=2, training=Training(epochs=4, batch_size=16))
    outcome = run_sweep(config)
    complete = []
    for _, errors, state in trials(config):  # each by itself, from those before it
        expected = 4
        for epoch in (2, 3):
            if len(complete) >= 3 and errors[epoch] > statistics.median(each[epoch] for each in complete):
                expected = epoch
                break
        assert (len(errors), state) == (expected, "COMPLETE" if expected == 4 else "PRUNED")
        if state == "COMPLETE":
            complete.append(errors)
    assert 3 <= len(complete) < 14
    assert [row["ended"] for row in outcome.record.rows] == ["trained"] * len(complete) + ["cut short"] * (
        14 - len(complete)
    )


def test_killed_trials_do_not_count_and_those_of_others_do(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "train_examples", stand_in(lambda *_: 10.0))
    config = sweep(tmp_path)
    mine, other = store_of(config), store_of(config)
    other.study.ask({one.name: one.distribution for one in parse_search(config.search)})  # its process is gone
    with ExitStack() as stack:
        claimed = [stack.enter_context(mine.claimed()) for _ in range(3)]
        assert [trial.number for trial in claimed] == [1, 2, 3]
        with ExitStack() as inner:
            assert other._begin(inner) is None  # three are at work
        claimed[0].set_user_attr("network", NETWORK)
        mine.study.tell(claimed[0], 1.0)
    assert not other.finished
    outcome = run_sweep(config)  # the locks are free: two more are needed
    assert {row["trial"] for row in outcome.record.rows} == {1, 4, 5}
    assert [state for _, _, state in trials(config)] == ["RUNNING", "COMPLETE", "RUNNING", "RUNNING", *["COMPLETE"] * 2]


def test_a_trial_that_is_done_when_the_sweep_is_stopped_counts(tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        stand_in(lambda *_: 10.0)(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "train_examples", stopped)
    config = sweep(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(config)
    assert [(errors, state) for _, errors, state in trials(config)] == [({1: 10.0, 2: 10.0}, "COMPLETE")]


def test_a_request_to_stop_is_met_where_the_trial_is_cut_short_too(tmp_path, monkeypatch):
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda _: signal.raise_signal(signal.SIGINT) or True)
    config = sweep(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(config)
    assert [state for _, _, state in trials(config)] == ["FAIL"]
    monkeypatch.undo()


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit there")
def test_a_disk_that_is_full_ends_the_sweep_which_goes_on_when_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "train_examples", stand_in(lambda *_: 10.0))
    run_sweep(sweep(tmp_path, trials=1))
    size = (tmp_path / store.JOURNAL).stat().st_size
    with files_no_longer_than(size + 40), pytest.raises(OSError, match="too large"):
        run_sweep(sweep(tmp_path, trials=3))
    assert not (tmp_path / store.JOURNAL).read_bytes().endswith(b"\n")
    assert [row["ended"] for row in run_sweep(sweep(tmp_path, trials=3)).record.rows] == ["trained"] * 3


def test_settings_that_fail_count_as_cut_short_and_errors_of_the_program_do_not(tmp_path, monkeypatch):
    def fail(error):
        def fit(*_, **__):
            raise error

        monkeypatch.setattr(running, "train_examples", fit)

    config = sweep(tmp_path, trials=2)
    for error in (KeyboardInterrupt(), ValueError("no such thing")):
        fail(error)
        with pytest.raises(type(error)):
            run_sweep(config)
    fail(FloatingPointError("The loss became nan at step 3."))
    refuses(ValueError, r"None of 2 trials was trained to the end. The loss became nan at step 3.", run_sweep, config)
    assert [state for _, _, state in trials(config)] == ["FAIL", "FAIL", "PRUNED", "PRUNED"]
    monkeypatch.setattr(running, "train_examples", stand_in(lambda *_: 10.0))
    rows = run_sweep(sweep(tmp_path, trials=3)).record.rows
    assert [(row["ended"], row["test_error_percent"]) for row in rows] == [
        ("trained", 10.0), ("failed", None), ("failed", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("changed", "message"), [
    ({"training": Training(epochs=3, batch_size=16)}, r"training.epochs differ \(training.epochs: 2 there, 3 here"),
    ({"search": ("training.momentum=float:0:0.9",)}, "search differ"),
    ({"seed": 1}, "seed differ"),
    ({"startup": 2}, "startup differ"),
])  # fmt: skip
def test_a_sweep_is_joined_with_its_own_settings_only(tmp_path, changed, message):
    store_of(sweep(tmp_path))
    refuses(ValueError, message, lambda: run_sweep(sweep(tmp_path, **changed)))


def test_a_journal_that_was_cut_off_goes_on_and_a_damaged_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "train_examples", stand_in(lambda *_: 10.0))
    run_sweep(sweep(tmp_path, trials=1))
    journal = tmp_path / store.JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:20])
    assert len(run_sweep(sweep(tmp_path, trials=2)).record.rows) == 2
    journal.write_bytes(whole.replace(b"{", b"", 1))
    refuses(ValueError, r"trials\.jsonl is damaged", lambda: run_sweep(sweep(tmp_path)))


def test_the_record_names_a_command_that_gives_the_same_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "train_examples", stand_in(lambda *_: 10.0))
    config = sweep(tmp_path / "sweep", network=Network(model="tiny", basis="none", options={"dropout": 0.25}))
    outcome = run_sweep(config)
    parsed = parse(shlex.split(outcome.record.command)[1:])
    assert isinstance(parsed, Sweep)
    assert parsed.shared(parsed.base()) == config.shared(config.base())
    assert json.loads((tmp_path / "sweep" / "sweep.json").read_text())["best"]["data"] == "tiny"

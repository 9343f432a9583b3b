"""The reference is right, and what is wrong is found."""

from dataclasses import replace

import pytest
import torch

from orbitconv.bases import ExactBasis, load_basis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import GroupConv2d, SeparableGroupConv2d
from studies.speed.cases import Case
from studies.speed.checks import check_error, naive_separable_weight, naive_weight, solve_coefficients, tolerance
from studies.speed.subjects import SUBJECTS, Setting
from studies.speed.work import prepare

CPU = torch.device("cpu")
SETTING = Setting(device=CPU, dtype=torch.float32, threads=1)
TINY = Case(task="training", group="c4", fields=2, size=5, batch=2)
ALLOWED = tolerance(torch.float32, CPU)


@pytest.mark.parametrize("basis", [ExactBasis(Cyclic(4), 3), ExactBasis(Dihedral(4), 3), load_basis("spectral-c6-k3")])
def test_the_definition_gives_the_filters_of_the_layer_and_reads_its_coefficients_back(basis):
    layer = GroupConv2d(2, 3, basis).double()
    atoms = basis(torch.float64)
    weight = naive_weight(layer.coefficients, atoms, basis.group)
    torch.testing.assert_close(weight, layer.filters(), rtol=0, atol=1e-12)
    torch.testing.assert_close(solve_coefficients(weight, atoms), layer.coefficients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("basis", [ExactBasis(Dihedral(4), 3), load_basis("spectral-c6-k3")])
def test_the_definition_of_a_separable_layer_is_two_loops(basis):
    layer = SeparableGroupConv2d(2, 3, basis).double()
    atoms, group = basis(torch.float64), basis.group
    spatial, mixing = layer.spatial.coefficients, layer.mixing.coefficients
    weight = naive_separable_weight(spatial, mixing, atoms, group).unflatten(1, (2, -1)).unflatten(0, (3, -1))
    for g in range(group.order):
        for h in range(group.order):
            psi = torch.einsum("id,dyx->iyx", spatial[:, 0], atoms[h])
            expected = mixing[:, :, int(group.quotient[g, h]), 0, None, None] * psi
            torch.testing.assert_close(weight[:, g, :, h], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("task", ["expansion", "forward", "training", "inference", "memory"])
@pytest.mark.parametrize("group", ["c4", "d4"])
@pytest.mark.parametrize("name", ["conv2d", "orbitconv", "folded"])
def test_right_subjects_pass_and_those_in_float64_are_closer(task, group, name):
    case = replace(TINY, task=task, group=group)
    assert prepare(case, SUBJECTS[name](case, SETTING), SETTING).error() < ALLOWED
    wide = replace(SETTING, dtype=torch.float64)
    assert prepare(case, SUBJECTS[name](case, wide), wide).error() < 1e-13


def broken(how, case):
    subject = SUBJECTS["orbitconv"](case, SETTING)
    return {
        "output": replace(subject, run=lambda planes: subject.run(planes).roll(1, dims=1)),
        "input gradient": replace(subject, run=lambda planes: subject.run(2 * planes - planes.detach())),
        "weight": replace(subject, expand=lambda: subject.expand().roll(1, dims=1)),
        "weight gradient": replace(subject, expand=lambda: 2 * subject.expand() - subject.expand().detach()),
        "not a number": replace(subject, run=lambda planes: subject.run(planes) * float("nan")),
    }[how]


@pytest.mark.parametrize(
    ("how", "task"),
    [("output", "inference"), ("output", "forward"), ("input gradient", "training"), ("input gradient", "memory"),
     ("weight", "expansion"), ("weight gradient", "expansion"), ("not a number", "training")],
)  # fmt: skip
def test_a_wrong_output_or_gradient_is_found(how, task):
    case = replace(TINY, task=task)
    error = prepare(case, broken(how, case), SETTING).error()
    assert error > 0.5
    with pytest.raises(ArithmeticError, match="broken is wrong: it differs from the float64 reference"):
        check_error("broken", error, ALLOWED)

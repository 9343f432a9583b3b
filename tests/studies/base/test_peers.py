"""The peers' bases: their own numbers where they are installed, a note where they are not or do not run."""

import sys
import types
import warnings
from dataclasses import dataclass

import pytest
import torch

from orbitconv.bases import HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import LiftingConv2d
from studies.__main__ import main
from studies.base.peers import PEERS, PeerBasis, peer_bases

C8 = Cyclic(8)


@dataclass
class Blocker:
    """Python's import system, for modules that are not there."""

    names: set[str]

    def find_spec(self, name, *_):
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def loaded():
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in PEERS}


@pytest.fixture
def absent(monkeypatch):
    """No peer can be imported, whether it is installed or not."""
    real, blocker = loaded(), Blocker(set(PEERS))
    for name in real:
        del sys.modules[name]
    monkeypatch.setattr(sys, "meta_path", [blocker, *sys.meta_path])
    yield blocker
    for name in loaded():
        del sys.modules[name]
    sys.modules.update(real)


@pytest.fixture
def broken(absent, tmp_path, monkeypatch):
    """Puts a package named escnn with this code where Python finds it."""

    def write(code):
        (tmp_path / "escnn").mkdir()
        (tmp_path / "escnn" / "__init__.py").write_text(code)
        absent.names.remove("escnn")
        monkeypatch.syspath_prepend(tmp_path)

    return write


def pretend(monkeypatch, atoms):
    """A peer that imports, and whose layer gives these atoms."""

    def layer(*fields, **options):
        if atoms is None:
            raise AssertionError("\n   no such kernel\n   try another")
        return types.SimpleNamespace(weights=torch.zeros(atoms.shape[1]), basisexpansion=expand)

    def expand(weights):
        sys.stdout.write("WARNING! I print\n")
        warnings.warn("I am old", DeprecationWarning, stacklevel=2)
        return torch.einsum("d, g d y x -> g y x", weights, atoms.float())

    plane = types.SimpleNamespace(trivial_repr=0, regular_repr=1)
    contents = {
        "escnn": {},
        "escnn.gspaces": dict.fromkeys(PEERS["escnn"], lambda _: plane),
        "escnn.nn": {"FieldType": lambda _, kinds: kinds, "R2Conv": layer},
    }
    for name, content in contents.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def test_peers_that_are_not_installed_are_noted(absent):
    assert peer_bases(C8, 3) == ([], {"escnn": "not installed", "e2cnn": "not installed"})


@pytest.mark.parametrize("group", [C8, Dihedral(4)], ids=str)
def test_atoms_come_through_unchanged_and_in_order(absent, monkeypatch, capsys, group):
    atoms = HarmonicBasis(group, 5).atoms
    pretend(monkeypatch, atoms)
    (((name, fit, basis, seconds),), skipped) = peer_bases(group, 5)
    assert (name, fit, skipped) == ("escnn", "none", {"e2cnn": "not installed"})
    assert seconds >= 0
    assert torch.equal(basis.atoms, atoms.float().double())
    assert capsys.readouterr().out == ""


def test_the_record_and_the_command_say_what_was_skipped(absent, data_dir, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    main(["compare-bases", "--kernel-sizes", "3", "--fit-images", "60", "--test-images", "20", "--no-photographs",
          "--data-dir", str(data_dir), "--results", "record.json"])  # fmt: skip
    assert "Skipped: escnn (not installed); e2cnn (not installed)." in capsys.readouterr().out
    assert '"escnn": "not installed"' in (tmp_path / "record.json").read_text()


# What follows runs in the environment of scripts/setup_peers.sh.


@pytest.fixture(params=PEERS)
def peer(request):
    pytest.importorskip(f"{request.param}.nn", reason="sh scripts/setup_peers.sh makes an environment with it")
    return request.param


real = pytest.mark.filterwarnings("ignore")  # the peers' own


def own_layer(peer, group, kernel_size, inputs, outputs):
    """The peer's layer with random weights, written as its manual does, without our code."""
    gspaces, layers = sys.modules[f"{peer}.gspaces"], sys.modules[f"{peer}.nn"]
    rotations, mirrors = {
        "escnn": ("rot2dOnR2", "flipRot2dOnR2"), "e2cnn": ("Rot2dOnR2", "FlipRot2dOnR2"),
    }[peer]  # fmt: skip
    plane = getattr(gspaces, mirrors if isinstance(group, Dihedral) else rotations)(N=group.num_rotations)
    source = layers.FieldType(plane, inputs * [plane.trivial_repr])
    target = layers.FieldType(plane, outputs * [plane.regular_repr])
    layer = layers.R2Conv(source, target, kernel_size=kernel_size, padding=kernel_size // 2, bias=False)
    return layer, lambda x: layer(layers.GeometricTensor(x, source)).tensor.unflatten(1, (outputs, group.order))


@real
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("group", [Cyclic(4), C8, Dihedral(4)], ids=str)
def test_their_weights_as_coefficients_give_their_output(peer, group, kernel_size):
    theirs, run = own_layer(peer, group, kernel_size, 1, 1)
    ours = LiftingConv2d(1, 1, PeerBasis(peer, group, kernel_size), padding=kernel_size // 2, bias=False)
    with torch.no_grad():
        ours.coefficients.copy_(theirs.weights.view(1, 1, -1))
        x = torch.randn(2, 1, 15, 15)
        torch.testing.assert_close(ours(x), run(x), rtol=0, atol=1e-5)

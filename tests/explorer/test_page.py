"""The page of `orbitconv explore` in a real browser: what it shows is what the library computes."""

import shlex

import pytest
import torch

from browser import Watched, browser
from orbitconv.bases import load_basis
from orbitconv.bases.orbits import support_of
from orbitconv.cli import main
from orbitconv.explorer.page import page
from orbitconv.explorer.scenes import read_scenes
from orbitconv.explorer.shown import images_like_photographs, names, shown_bases
from orbitconv.learn import measure_moments
from orbitconv.metrics import basis_equivariance_error

NAMES = [
    "spectral-c8-k5", "spectral-c8-k3", "harmonic-c8-k5", "bilinear-c8-k5", "exact-c4-k3", "spectral-d4-k3",
    "hexagonal-spectral-c12-k5",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "page.html"
    bases = list(shown_bases(NAMES, lambda _done, _all: None))
    path.write_text(page({"version": "1", "bases": bases, **read_scenes()}), "utf-8")
    return path


@pytest.fixture
def shown(chromium, file):
    watched = Watched(chromium, file)
    yield watched
    assert not watched.errors
    assert watched.requests == [file.as_uri()]
    watched.page.close()


def choose(page, **chosen):
    for name, value in chosen.items():
        page.select_option(f"#{name}", value)


def slide(page, name, value):
    page.eval_on_selector(
        f"#{name}", "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', { bubbles: true })); }", value
    )


def pixels(page):
    values = page.eval_on_selector_all("#filter polygon", "all => all.map(e => +e.dataset.value)")
    return torch.tensor(values, dtype=torch.double)


def reading(page, name):
    return float(page.text_content(f"#{name}"))


@pytest.mark.parametrize("name", NAMES)
def test_the_filter_turns_as_in_the_library(shown, name):
    family, group, kernel = name.rsplit("-", 2)
    choose(shown.page, family=family, group=group.upper(), kernel=f"{kernel[1]}x{kernel[1]}", weights="atom")
    basis = load_basis(name)
    assert int(shown.page.text_content("#atoms-value")) == basis.num_atoms
    for g in range(basis.group.order):
        slide(shown.page, "turn", g)
        wanted = basis.atoms[g, 0].double()
        inside = torch.from_numpy(support_of(basis.kernel_size, basis.lattice))
        torch.testing.assert_close(pixels(shown.page), wanted.flatten()[inside], rtol=0, atol=1e-3)
        assert reading(shown.page, "norm") == pytest.approx(float(wanted.norm() / basis.atoms[0, 0].norm()), abs=1e-3)


@pytest.mark.parametrize(("name", "atoms"), [("spectral-c8-k5", 7), ("spectral-c8-k5", 11), ("harmonic-c8-k5", 3)])
def test_errors_and_numbers_of_atoms_are_those_of_the_library(shown, name, atoms):
    family, group, _ = name.split("-")
    choose(shown.page, family=family, group=group.upper(), kernel="5x5")
    counts = shown.page.evaluate(f"Object.keys(data.bases.find(b => b.name === '{name}').errors).map(Number)")
    slide(shown.page, "atoms", counts.index(atoms))
    assert int(shown.page.text_content("#atoms-value")) == atoms
    basis = load_basis(name, atoms)
    wanted = basis_equivariance_error(basis, measure_moments(images_like_photographs(), basis.group, 5))
    for g in range(8):
        slide(shown.page, "turn", g)
        assert reading(shown.page, "error") == pytest.approx(float(wanted[g]), abs=1e-3)


def test_every_control_changes_what_it_should(shown):
    page = shown.page
    before = pixels(page)
    choose(page, weights="random-1")
    assert not torch.equal(pixels(page), before)
    choose(page, weights="edge")
    edge = pixels(page).unflatten(0, (5, 5))
    torch.testing.assert_close(edge, -edge.flip(1), atol=1e-3, rtol=0)
    choose(page, kernel="3x3")
    assert len(pixels(page)) == 9
    choose(page, family="exact")
    assert page.locator("#orbit button").count() == 4
    assert page.is_disabled("#atoms")


def test_the_orbit_is_worked_by_the_keyboard(shown):
    page = shown.page
    page.focus("#turn")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#turn-value") == "45°"
    assert page.get_attribute("#turn", "aria-valuetext") == "45°"
    page.locator("#orbit button").nth(3).focus()
    page.keyboard.press("Enter")
    assert page.text_content("#turn-value") == "135°"
    assert page.locator("#orbit button[aria-pressed=true]").count() == 1


def test_pictures_turn_and_networks_say_what_was_measured(shown):
    page = shown.page
    for index, scene in enumerate(read_scenes()["scenes"]):
        page.select_option("#scene", str(index))
        for now in (0, 3, 9):
            slide(page, "angle", now)
            view = scene["views"][now]
            assert page.text_content("#angle-value") == f"{view['degrees']}°"
            assert page.locator(".network h3").all_text_contents() == ["plain", "converted"]
            assert page.locator(".says").all_text_contents() == [seen["says"] for seen in view["networks"]]
            assert page.locator(".maps canvas").count() == sum(len(seen["maps"]) for seen in view["networks"])


def test_converted_networks_say_the_same_at_quarter_turns_and_plain_ones_do_not():
    for scene in read_scenes()["scenes"]:
        quarters = [view["networks"] for view in scene["views"] if view["degrees"] % 90 == 0]
        plain, converted = zip(*([seen["score"] for seen in networks] for networks in quarters), strict=True)
        assert max(converted) - min(converted) < 1e-3
        assert max(plain) - min(plain) > 1e-3


def test_the_front_is_a_figure_and_a_table(shown):
    rows = read_scenes()["front"]["rows"]
    assert shown.page.locator("#front circle").count() == len(rows)
    assert shown.page.locator("#front-table tr").count() == len(rows) + 1
    shown.page.locator("#front circle").first.hover()
    assert "parameters" in shown.page.text_content("#front")


@pytest.mark.parametrize("width", [380, 800, 1400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_reads_in_both_schemes(chromium, file, width, dark):
    watched = Watched(chromium, file, width, dark=dark)
    watched.check()
    assert watched.page.evaluate("[...document.querySelectorAll('select, input')].every(e => e.closest('label'))")
    watched.page.close()


def test_the_command_shows_bases_of_ones_own(tmp_path, monkeypatch, capsys):
    from orbitconv.bases import save_basis

    monkeypatch.chdir(tmp_path)
    save_basis(load_basis("spectral-c8-k3"), "mine.safetensors")
    monkeypatch.setattr("orbitconv.explorer.page.names", lambda: names()[:1])
    main(shlex.split("explore --bases mine.safetensors --out page.html"))
    text = (tmp_path / "page.html").read_text("utf-8")
    assert '"family":"mine"' in text
    assert len(text) < 10e6


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--out page.html", "page.html exists already. Choose another --out, or replace it with --overwrite."),
        ("--out folder", "--out expects a file, got the folder folder."),
        ("--out page.html/new.html", "page.html is a file). Choose another file with --out."),
        ("--bases broken.safetensors --out new.html", "broken.safetensors is not a saved basis"),
        ("--bases cut.safetensors --out new.html", "cut.safetensors is truncated"),
        ("--bases missing.safetensors --out new.html", "missing.safetensors"),
        ("--bases spectrul-c8-k3 --out new.html", "Did you mean 'spectral-c8-k3'?"),
    ],
)
def test_bad_words_end_with_one_line_before_anything_is_measured(tmp_path, monkeypatch, capsys, words, told):
    from orbitconv.bases import save_basis

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("orbitconv.explorer.page.names", list)
    monkeypatch.setattr("orbitconv.explorer.shown.measure_moments", lambda *_: pytest.fail("a basis was measured"))
    save_basis(load_basis("spectral-c8-k3"), "cut.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "cut.safetensors").read_bytes()[:-100])
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    (tmp_path / "page.html").write_text("there")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["explore", *shlex.split(words)])
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.count("\n") == 1
    assert (tmp_path / "page.html").read_text() == "there"
    assert not (tmp_path / "new.html").exists()

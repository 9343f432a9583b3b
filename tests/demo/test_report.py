"""The report of a made-up demo: small untrained networks, random digits."""

import math
import re
from dataclasses import replace

import pytest
import torch

from browser import Watched, browser
from html_page import Page
from orbitconv.bases import BilinearBasis, ExactBasis, UnitaryBasis
from orbitconv.data import ImageSet
from orbitconv.demo import report
from orbitconv.demo.demo import Outcome, _part_of
from orbitconv.groups import Cyclic
from orbitconv.learn import measure_moments
from orbitconv.models import SmallCNN, count_multiply_adds
from orbitconv.records.record import Record
from orbitconv.report.words import spread_note

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

GROUPS = {"plain": "c1", "exact": "c4", "bilinear": "c8", "unitary": "c8", "spectral": "c8"}
TURNED = {"plain": 55.7, "exact": 17.1, "bilinear": 18.0, "unitary": 13.8}


def make_record(turned=TURNED, seeds=2, spread=0.5) -> Record:
    config = {
        "test_images": 2000, "train_images": 6000, "curve_images": 500, "parameters": 50_000, "seeds": seeds,
        "note": 'a <b> & "c" </script>',
    }  # fmt: skip
    bases = [
        {
            "family": f, "group": "c8", "num_atoms": 9, "error_45_degrees": e, "error_90_degrees": 0.0,
            "unitarity_error": u, "group_law_error": u,
        }
        for f, e, u in (("bilinear", 0.606, 0.748), ("unitary", 0.214, 1.3e-15))
    ]  # fmt: skip
    extra = {"fit_seconds": 0.6, "fit_images": 2000, "bases": bases}
    record = Record(study="demo", command="orbitconv demo <x> & 'y'", config=config, extra=extra)
    for i, (family, error) in enumerate(turned.items()):
        for seed in range(seeds):
            columns = {"family": family, "group": GROUPS[family], "kernel": 3, "seed": seed, "train": "upright"}
            columns |= {"parameters": 50_000 + i, "seconds": 10.0 + 2 * i + seed}
            off = spread * (2 * seed - seeds + 1)
            record.add(**columns, test="upright", degrees=None, test_error_percent=1.2 + i + off / 2)
            record.add(**columns, test="rotated", degrees=None, test_error_percent=error + off)
            for degrees in range(0, 360, 45):
                wave = 0 if degrees == 0 or (family != "plain" and degrees % 90 == 0) else error
                record.add(**columns, test="angle", degrees=degrees, test_error_percent=1.2 + wave)
    return record


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    torch.manual_seed(0)
    noise = torch.nn.functional.avg_pool2d(torch.rand(30, 1, 20, 20), 3)[..., :16, :16]
    canvas = torch.nn.functional.pad(noise, (5, 5, 5, 5))
    moments = measure_moments(torch.nn.functional.avg_pool2d(torch.rand(200, 1, 26, 26), 3, stride=1), Cyclic(8), 3)
    bases = {
        "exact": ExactBasis(Cyclic(4), 3),
        "bilinear": BilinearBasis(Cyclic(8), 3),
        "unitary": UnitaryBasis(Cyclic(8), 3, moments),
    }
    networks = {"plain": SmallCNN(None, width=6), **{n: SmallCNN(basis, width=4) for n, basis in bases.items()}}
    digits = ImageSet(
        images=(255 * canvas).byte(), labels=torch.zeros(30, dtype=torch.int64), classes=("zero",), name="made up",
        split="test",
    )  # fmt: skip
    return Outcome(make_record(), bases, networks, digits)


@pytest.fixture(scope="module")
def written(outcome, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    steps = []
    path = report.write_report(outcome, folder, lambda *step: steps.append(step))
    return folder, path.read_text(encoding="utf-8"), steps


@pytest.fixture
def page(written) -> Page:
    return Page.of(written[1])


def test_page_is_sound_and_needs_nothing_but_itself(written, page):
    page.check(written[1], "demo.json")
    assert len(page.alts) == 1 + 3 + 2 + 1  # angles, filters, turning, layers


def test_table_holds_the_numbers_of_the_record_and_the_cost(page, outcome):
    head, *lines = page.tables[0]
    columns = ["network", "test error, %", "at random angles, %", "group", "parameters", "multiply-adds", "training, s"]
    assert head == columns
    names = ["plain CNN", "exact C4", "bilinear C8", "learned C8 (unitary)"]
    for i, ((family, error), line) in enumerate(zip(TURNED.items(), lines, strict=True)):
        root2 = math.sqrt(2)
        adds = count_multiply_adds(outcome.networks[family], tuple(outcome.digits.images.shape[1:]))
        assert [line[k] for k in (0, 1, 2, 4, 5, 6)] == [
            names[i], f"{1.2 + i:.2f} ± {0.25 * root2:.2f}", f"{error:.2f} ± {0.5 * root2:.2f}", f"{50_000 + i:,}",
            f"{adds / 1e6:,.1f}\xa0M", f"{10.5 + 2 * i:.1f} ± {1 / root2:.1f}",
        ]  # fmt: skip


def test_bases_table_holds_the_facts(page):
    table = next(t for t in page.tables if t[0][0] == "basis")
    assert table[1] == ["bilinear C8", "9", "0.606", "0.000", "0.748", "0.748"]
    assert table[2][:4] == ["learned C8 (unitary)", "9", "0.214", "0.000"]
    assert table[2][4].replace("\xa0", " ") == "1 \u00d7 10\u221215"


def test_special_characters_are_escaped(written):
    text = written[1]
    assert "orbitconv demo &lt;x&gt; &amp; &#x27;y&#x27;" in text
    assert "a &lt;b&gt; &amp; &quot;c&quot; &lt;/script&gt;" in text
    assert text.count("</script>") == 1


@pytest.mark.parametrize(("turned", "words"), [
    (TURNED, "Lowest error at random angles: learned C8 (unitary), 13.80 %. The plain CNN has 55.70 %."),
    (TURNED | {"unitary": 17.5}, "Lowest error at random angles: exact C4, 17.10 %."),
    (TURNED | {"unitary": 17.1}, "Lowest error at random angles: exact C4 and learned C8 (unitary), 17.10 %."),
])  # fmt: skip
def test_the_finding_says_who_has_the_lowest_error(outcome, turned, words):
    assert words in report._finding(report.tested(replace(outcome, record=make_record(turned))))


def test_the_note_speaks_up_when_the_gap_may_be_chance(outcome):
    def said(seeds, spread, learned):
        record = make_record(TURNED | {"unitary": learned}, seeds, spread)
        return spread_note(report.tested(replace(outcome, record=record)), 2000)

    assert "within chance" in said(1, 0.0, 16.9)
    assert "more seeds" in said(1, 0.0, 16.9)
    assert "within chance" not in said(1, 0.0, 5.0)
    assert "within chance" in said(3, 2.0, 16.0)
    assert "within chance" not in said(3, 0.1, 16.0)


def test_only_errors_are_emphasised(written):
    table = written[1].split("</table>")[0]
    assert re.findall(r"<strong>(.*?)</strong>", table) == ["1.20", "13.80"]


def test_every_learned_network_is_named_by_its_family(written, page):
    text = re.sub(r"<style.*?</style>|<script.*?</script>|base64,[^\"]*", "", written[1], flags=re.DOTALL)
    assert set(re.findall(r"learned (\S+)", text)) == {"C8", "bases"}
    assert "learned C8 (unitary)" in text


def test_progress_of_all_networks_is_one_bar():
    steps = []
    for place in (0, 1):
        told = _part_of(lambda *step: steps.append(step), place, 2)
        for what in ("train exact | loss 1.0", "test exact"):
            for done in (1, 2):
                told(what, done, 2)
    assert {what.partition(" | ")[0] for what, _, _ in steps} == {"networks"}
    assert [done for _, done, _ in steps] == [45, 90, 95, 100, 145, 190, 195, 200]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_it_fits_the_window_and_reads_in_both_schemes(written, tmp_path, width, dark):
    file = tmp_path / "report.html"
    file.write_text(written[1], "utf-8")
    with browser() as chromium:
        Watched(chromium, file, width, dark=dark).check()

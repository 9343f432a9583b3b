"""Imports point down, lazy ones too, from the command line to the support code; no circle, no crowded folder."""

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
ROOT = REPOSITORY / "src" / "orbitconv"

# A package imports from packages further left only.
ORDER = (
    "_support", "records", "groups", "hexagonal", "bases", "data", "nn", "metrics", "figures", "testing", "learn",
    "models", "conversion", "interop", "onnx_graph", "export", "saved", "learn_basis", "train", "prediction",
    "evaluation", "report", "sweep", "show", "demo", "explorer", "cli", "__main__", "__init__",
)  # fmt: skip
MOST_MODULES = 20


def imports_of(root):
    """The names that each module imports from the package or from the studies, by the name of the module."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(place[:-1] if place[-1] == "__init__" else place)
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} imports by a relative name"
                found[name] |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
    return {
        name: {one for one in names if one.partition(".")[0] in {"orbitconv", "studies"}}
        for name, names in found.items()
    }


def full_folders(root):
    """Every folder that holds too many modules, in words."""
    folders = Counter(path.parent for path in root.rglob("*.py") if path.name != "__init__.py")
    return [
        f"{folder.relative_to(root.parent)} holds {count} modules"
        for folder, count in sorted(folders.items())
        if count > MOST_MODULES
    ]


def faults(root):
    """Every arrow that points up and circle of modules, in words."""
    imports, told = imports_of(root), []

    def package(name):
        return name.split(".")[1] if "." in name else "__init__"

    for name, names in imports.items():
        there = {one for one in names if one in imports or one.startswith("studies")}
        told += [
            f"{name} imports {one}"
            for one in sorted(there - {"orbitconv"})
            if one.startswith("studies") or ORDER.index(package(one)) > ORDER.index(package(name))
        ]
    try:
        # A package runs before its modules do, but takes their names only: that makes no circle.
        graph = {
            name: {o for o in names if o in imports and not name.startswith(f"{o}.")} - {name}
            for name, names in imports.items()
        }
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        told.append(f"circle: {' -> '.join(error.args[1])}")
    return told


def test_no_import_points_up_and_there_is_no_circle():
    assert faults(ROOT) == []


@pytest.mark.parametrize("root", [ROOT, REPOSITORY / "studies", REPOSITORY / "tests"], ids=lambda root: root.name)
def test_no_folder_is_full(root):
    assert full_folders(root) == []


def test_every_package_has_a_place_in_the_order():
    assert {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} <= set(
        ORDER
    )


@pytest.mark.parametrize(("module", "line", "words"), [
    ("bases/a", "from orbitconv.nn.b import B", "orbitconv.bases.a imports orbitconv.nn.b"),
    ("bases/a", "def f():\n    from orbitconv.nn import b", "orbitconv.bases.a imports orbitconv.nn.b"),
    ("nn/b", "import orbitconv.nn.c", "circle: "),
    ("cli/d", "import studies", "orbitconv.cli.d imports studies"),
])  # fmt: skip
def test_a_planted_import_is_found(tmp_path, module, line, words):
    root = tmp_path / "orbitconv"
    for name in ("__init__", "bases/__init__", "bases/a", "nn/__init__", "nn/b", "nn/c", "cli/__init__", "cli/d"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.py").write_text("from orbitconv.nn import b\n" if name == "nn/c" else "")
    assert faults(root) == []
    (root / f"{module}.py").write_text(line)
    (told,) = [one for one in faults(root) if one.startswith(words)]
    assert told.startswith(words)


def test_a_folder_that_is_too_full_is_found(tmp_path):
    (tmp_path / "orbitconv" / "nn").mkdir(parents=True)
    for number in range(MOST_MODULES + 1):
        (tmp_path / "orbitconv" / "nn" / f"m{number}.py").touch()
    assert full_folders(tmp_path / "orbitconv") == ["orbitconv/nn holds 21 modules"]

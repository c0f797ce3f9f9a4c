"""Documents name only what exists: files, commands, options, recipes, rooms. Their Python blocks run by themselves."""

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)


def _headings(path: Path) -> set[str]:
    """Anchors of a document, as code hosts make them from the headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _commands(path: Path) -> list[list[str]]:
    """Every shell line of a document that calls taut, and every `taut ...` in its sentences."""
    text = path.read_text(encoding="utf-8")
    # Fences come in pairs: what stands between an opening and a closing one is a block, the rest is sentences.
    parts = re.split(r"^```(.*)\n", text, flags=re.MULTILINE)
    fences = zip(parts[1::4], parts[2::4], strict=True)
    blocks = [block.replace("\\\n", " ") for language, block in fences if not language]  # continued lines are one
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("taut ")]
    lines += re.findall(r"`(taut [^`]+)`", "".join(parts[::4]))
    return [shlex.split(line, comments=True)[1:] for line in lines]


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            name, _, anchor = target.partition("#")
            page = path.parent / name if name else path
            assert page.is_file(), f"{target} in {path.name}"
            assert not anchor or anchor in _headings(page), f"{target} in {path.name}"


@each_document
def test_commands_and_their_options_exist(path: Path) -> None:
    from taut.cli.parse import option_names
    from taut.cli.program import COMMANDS
    from taut.recipes import BUDGETS, RECIPES, TABLES, recipe

    for command, *rest in _commands(path):
        if command.startswith(("--", "COMMAND")):
            continue
        assert command in COMMANDS
        if command == "train" and rest and not rest[0].startswith("-") and not rest[0].endswith(".json"):
            assert rest[0] in {*RECIPES, "RECIPE"}
        given = {word.partition("=")[0] for word in rest if word.startswith("--")}
        if command in ("train", "finetune"):
            config = type(recipe(rest[0] if rest and rest[0] in RECIPES else "digits"))
            own = {"train": {"--resume", "--config"}, "finetune": {"--orthonormal"}}[command]
            known = {*option_names(config, None, "taut"), *own, "--out", "--help"}
            known |= {"--budget"} if rest and rest[0] in {*BUDGETS, "RECIPE"} else set()
        elif command == "compare":
            assert not rest or rest[0].startswith("-") or rest[0] in {*RECIPES, "RECIPE"}
            config = type(recipe(rest[0] if rest and rest[0] in RECIPES else "digits"))
            known = {*option_names(config, None, "taut"), "--activations", "--jobs", "--out", "--resume", "--help"}
        elif command == "reproduce":
            assert not rest or rest[0].startswith("-") or rest[0] in {*TABLES, "TABLE"}
            config = type(TABLES[rest[0] if rest and rest[0] in TABLES else "wasserstein-table"]["full"]())
            known = {*option_names(config, None, "taut"), "--out", "--resume", "--help"}
        else:
            module = __import__(f"taut.cli.{command}", fromlist=["Options"])
            known = set(option_names(module.Options, None, "taut"))
        assert given <= known, f"{sorted(given - known)} of taut {command} in {path.name}"


@each_document
def test_make_targets_exist(path: Path) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named <= _targets()


def test_every_command_is_described() -> None:
    from taut.cli.program import COMMANDS

    described = {command for command, *_ in _commands(ROOT / "docs" / "command_line.md")}
    assert set(COMMANDS) <= described


def test_every_room_stands_on_the_map_in_its_order() -> None:
    """The table of the rooms has the layers of the import contract, from top to bottom."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")["layers"]
    rooms = [{name.strip(" ()").removeprefix("taut.") for name in layer.split("|")} for layer in layers]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = [set(re.findall(r"`([a-z]+)`", row.split("|")[1])) for row in re.findall(r"^\| `.*$", text, re.MULTILINE)]
    built = {path.parent.name for path in (ROOT / "src" / "taut").glob("*/__init__.py")}
    assert [room & built for room in rooms if room & built] == table


def test_the_table_of_layers_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("layer_table", ROOT / "docs" / "layer_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == module.PAGE.read_text(encoding="utf-8"), "run python docs/layer_table.py"


def test_the_rule_of_thumb_says_what_was_measured() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (record,) = re.findall(r"k is measured at n = 1024, B = 512 \(\[record\]\(\.\./(.*?)\)", page)
    tables = json.loads((ROOT / record).read_text())["tables"]
    (rows,) = (table["rows"] for table in tables if "784-1024-1024-10, batch 512" in table["title"])
    stated = re.findall(r"^\| (`[\w-]+`|[\w: -]+) \| ([\d.]+) \|", page, re.MULTILINE)
    assert len(stated) > 8
    for name, k in stated:
        row = rows[f"taut: {name.strip('`')}" if name.startswith("`") else name]
        assert k == f"{(row['ratio'] - 1) * 512 / 1024:.1f}", name


def test_short_names_on_the_layer_page_are_right() -> None:
    from contracts import every_layer
    from taut import nn as tnn

    catalogs = (tnn.linears(), tnn.convolutions(), tnn.activations(), tnn.maps())
    short = {cls.__name__: name for catalog in catalogs for name, cls in catalog.items()}
    rows = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \|", (ROOT / "docs" / "layers.md").read_text(), flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(every_layer())
    assert all(short[name] == given for name, given in rows)


def test_the_license_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.lstrip().startswith("Apache License")
    assert "END OF TERMS AND CONDITIONS" in text
    assert text.rstrip().endswith("limitations under the License.")

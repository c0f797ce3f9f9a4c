"""The syntax in which the command line names distributions: what it means, and the sentence for what means nothing."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.data.distributions import Empirical, Function, Gaussian, Mixture, Points, Shells, UniformCube, parse
from taut.errors import UsageError, UserError

LAWS = """
import torch
from taut.data.distributions import Gaussian

law = Gaussian([1.0, 2.0])
number = 3

def samples(count, generator):
    return torch.rand(count, 2, generator=generator)

def make():
    return law

def few(count, generator):
    return torch.rand(count - 1, 2)

def three(a, b, c):
    return a

def text():
    return "text"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files, to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "laws_to_parse.py").write_text(LAWS)
    rows = np.arange(12.0).reshape(4, 3)
    np.save("x.npy", rows)
    np.save("x(1).npy", rows)
    np.savez("two.npz", first=rows, labels=np.arange(4))
    safetensors.torch.save_file({"only": torch.from_numpy(rows)}, "x.safetensors")
    np.save("nan.npy", np.array([[1.0], [np.nan]]))
    np.save("text.npy", np.array(["a"]))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    return tmp_path


def drawn(text: str) -> torch.Tensor:
    return parse(text).sample(3, torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("points([[0.0]])", Points([[0.0]])),
        ("  points([[-1, +2e-1], (3, 4)],\n weights=[1, 3]) ", Points([[-1, 0.2], [3, 4]], weights=[1, 3])),
        ("shells([[-2,0],[0,0],[2,0]], radius=1)", Shells([[-2, 0], [0, 0], [2, 0]], radius=1)),
        (
            "shells([[0,0]], radius=.5, empty_dimensions=7, image=(1, 3, 3))",
            Shells([[0, 0]], radius=0.5, empty_dimensions=7, image=(1, 3, 3)),
        ),
        ("gaussian([0,0], std=2)", Gaussian([0, 0], std=2)),
        ("gaussian([1, 2] * 3)", Gaussian([1, 2, 1, 2, 1, 2])),
        ("gaussian(1, std=None)", Gaussian(1)),
        ("gaussian([0,0], covariance=[[2,1],[1,2]])", Gaussian([0, 0], covariance=[[2, 1], [1, 2]])),
        ("cube(low=[0,0], high=[1,2])", UniformCube([0, 0], [1, 2])),
        (
            "mixture([gaussian(0), cube(0, 1), mixture([points([[9]])])], weights=[3, 1, 1])",
            Mixture([Gaussian(0), UniformCube(0, 1), Mixture([Points([[9]])])], weights=[3, 1, 1]),
        ),
    ],
)
def test_calls_of_numbers(text: str, law) -> None:
    found = parse(text)
    assert type(found) is type(law)
    assert found.description == law.description
    assert torch.equal(drawn(text), law.sample(3, torch.Generator().manual_seed(1)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e30, 1e30), st.integers(-5, 5)), min_size=1, max_size=4))
def test_numbers_arrive_as_they_were_written(rows) -> None:
    assert parse(f"points({rows})").positions.tolist() == [[float(value) for value in row] for row in rows]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="points()[],.=-+*'\" 01axy:_{}\n\\", max_size=30))
def test_whatever_is_typed_is_a_law_or_one_sentence(text: str) -> None:
    said = ""
    try:
        parse(text)
    except UserError as error:
        said = str(error)
    assert "\n" not in said


def test_files(here: Path) -> None:
    for text in ("x.npy", "x(1).npy", "two.npz:first", "x.safetensors", "x.safetensors:only", str(here / "x.npy")):
        found = parse(text)
        assert isinstance(found, Empirical)
        assert found.samples.tolist() == np.arange(12.0).reshape(4, 3).tolist()
    assert parse("two.npz:labels").shape == (1,)
    assert parse("mixture(['x.npy', cube([0,0,0], [1,1,1])])").shape == (3,)


def test_objects(here: Path) -> None:
    for text in ("laws_to_parse.py:law", "laws_to_parse:make", str(here / "laws_to_parse.py:make")):
        assert parse(text).description == "the normal law in 2 dimensions of mean (1, 2) and standard deviation 1"
    found = parse("laws_to_parse.py:samples")
    assert isinstance(found, Function)
    assert found.description == "what laws_to_parse.py:samples draws, in 2 dimensions"
    assert parse("mixture(['laws_to_parse.py:samples', 'laws_to_parse:law'])").shape == (2,)


def test_data_sets(tmp_path: Path) -> None:
    assert parse("digits").size == 1797
    assert [parse(f"digits(split='{split}')").size for split in ("train", "test")] == [1347, 450]
    assert parse("mixture([digits, digits(split='test')])").shape == (1, 8, 8)
    for text in ("fashion-mnist", "fashion-mnist(split='test')", "mixture([fashion-mnist, 'digits'])"):
        with pytest.raises(UserError, match=f"fashion-mnist is not there: .*{tmp_path}"):
            parse(text, tmp_path)
    for name in ("emnist-letters", "tiny-imagenet"):
        with pytest.raises(UserError, match=f"{name} is not there"):
            parse(name, tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "",
            "'' is no distribution; known are points, shells, gaussian, mixture, cube, moons, circles, ring, spirals, "
            "checkerboard, pinwheel, the data sets ",
        ),
        ("3", "'3' is no distribution; known are"),
        ("[1]", "'[1]' is no distribution; known are"),
        ("gaussiann([0])", "unknown distribution 'gaussiann' (did you mean 'gaussian'?); known are points"),
        ("minst", "unknown distribution 'minst' (did you mean 'mnist'?)"),
        ("fashion-minst", "'fashion-minst' is no distribution (did you mean 'fashion-mnist'?); known are"),
        ("points", "points needs its numbers: points(positions, weights=)"),
        ("points([[0.0]", "cannot read 'points([[0.0]': '[' was never closed, at character 8, '[[0.0]'"),
        ("points([[0.0]])x", "invalid syntax, at character 16, 'x'"),
        ("points()", "missing a required argument: 'positions'; the form is points(positions, weights=)"),
        ("points([[1/3]])", "cannot read '1/3' in 'points([[1/3]])': only numbers, lists, strings and laws may stand"),
        ("points(*[1])", "cannot read '*[1]'"),
        ("points([1] * 0)", "'[1] * 0' must have between 1 and 1000000 entries"),
        ("points([1] * 2000000)", "'[1] * 2000000' must have between 1 and 1000000 entries"),
        ("points([1] * True)", "'[1] * True' must have between 1 and"),
        ("points('a' * 3)", "cannot read"),
        ("points(**{'a': 1})", "is no distribution"),
        ("points([[0]], weights=[1], weights=[2])", "weights is given twice in 'points([[0]], weights=[1]"),
        ("shells([[0,0]], raduis=1)", "shells has no 'raduis' (did you mean 'radius'?); the form is shells(centres, "),
        ("shells([[0,0]], 1)", "too many positional arguments; the form is shells(centres, radius=, "),
        ("mixture([gaussian(0), gaussian(0, std=0)])", "in 'gaussian(0, std=0)': std must be above 0, got 0"),
        ("mixture([1, 2])", "in 'mixture([1, 2])': a component must be a distribution, got 1"),
        ("mixture([gaussian(0), gaussian([0, 0])])", "components must have one shape, got (1,), (2,)"),
        ("digits('test')", "too many positional arguments; the form is digits(split=)"),
        ("digits(split='valid')", "split must be 'train' or 'test', got 'valid'"),
        ("__import__('os').system('false')", "is no distribution"),
        ("points([[(lambda: 1)()]])", "cannot read '(lambda: 1)()'"),
        ("x.pkl", "'x.pkl' is no distribution; known are"),
        ("absent.npy", "there is no file absent.npy"),
        ("x.npy:first", "x.npy holds one array without a name, so it has no 'first'"),
        ("two.npz:second", "two.npz has no array 'second'; it has 'first', 'labels'"),
        (
            "two.npz",
            "two.npz must hold one array, or one named inputs, x, x_test, images, data; it has 'first', 'labels'",
        ),
        ("nan.npy", "nan.npy cannot be used: samples of nan.npy must be finite, but sample 1 (counted from 0) is not"),
        ("text.npy", "text.npy holds <U1, not numbers"),
        ("objects.npy", "objects.npy is damaged, or holds something else than arrays of numbers"),
        ("laws_to_parse.py:sample", "laws_to_parse.py has no 'sample' (did you mean 'samples'?)"),
        ("laws_to_parse.py:number", "is a int, not a distribution or a function (count, generator)"),
        ("laws_to_parse.py:few", "laws_to_parse.py:few gave 1 samples when asked for 2"),
        (
            "laws_to_parse.py:three",
            "must be a function of (count, generator), or of nothing, that returns a distribution",
        ),
        ("laws_to_parse.py:text", "takes no arguments, so it must return a distribution, but it gave a str"),
        ("absent_module:law", "cannot import absent_module:law: No module named 'absent_module'"),
    ],
)
def test_what_means_nothing_is_one_sentence(here: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        parse(text)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_nothing_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.eval", None)
    monkeypatch.setattr(ast, "literal_eval", None)
    assert parse("points([[1.0]])").shape == (1,)
    with pytest.raises(UsageError):
        parse("points([[__import__('os').getpid()]])")

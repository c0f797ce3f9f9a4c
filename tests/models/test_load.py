"""Exported networks: what is loaded computes what was written, or one sentence says what is wrong with the folder."""

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import taut
from taut import models
from taut.errors import UserError
from taut.files import read_tensors, tensor_bytes
from taut.models import ClassifierOptions
from taut.models.exported import build, write_network

FAMILIES: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "mlp": ("mlp", (1, 4, 4), {"width": 8, "depth": 1, "lipschitz": 2.0}),
    "lenet": ("lenet", (1, 8, 8), {"width": 8, "channels": 2, "convolution": "rko"}),
    "distances": ("distances", (1, 4, 4), {"linear": "linf-dist", "width": 8, "depth": 1}),
    "sll-": ("sll-small", (3, 16, 16), {"channels": 4, "blocks": 1, "width": 8, "depth": 1}),
    "lipconvnet-": ("lipconvnet-5", (3, 32, 32), {"channels": 2, "blocks": 5, "convolution": "rko"}),
    "convnet-": ("convnet-xs", (3, 32, 32), {"channels": 4, "blocks": 1, "convolution": "rko"}),
    "liresnet": ("liresnet", (3, 16, 16), {"channels": 4, "blocks": 1, "width": 8, "depth": 1}),
    "lipnext": ("lipnext", (3, 32, 32), {"channels": 8, "blocks": 1}),
    "resn": ("resnet-18", (3, 8, 8), {"channels": 2}),
}
"""By the beginning of their names: a small one of each kind. Residual networks are one class."""

LEARNED = ("householder-activation", "linear-spline", "n-activation")

OPTIONAL = (
    "PIL", "foolbox", "jinja2", "lightning_fabric", "lightning_utilities", "matplotlib", "onnx", "onnxscript", "ot",
    "pyarrow", "rich", "scipy", "skimage", "sklearn", "torchmetrics", "tyro",
)  # fmt: skip
"""Import names of the optional dependencies in pyproject.toml."""


def trained(architecture: str, shape: tuple[int, ...], options: dict[str, Any], *, tanh: bool = False) -> nn.Module:
    """A folded network whose parameters and statistics are not those that it starts with."""
    torch.manual_seed(0)
    net = models.classifiers()[architecture](shape, 3, ClassifierOptions(**options))
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    if architecture == "distances":
        taut.optim.relax_(net, math.inf)
    return taut.fold(nn.Sequential(net, nn.Tanh()) if tanh else net).eval()


def written(
    folder: Path, architecture: str, shape: tuple[int, ...], options: dict[str, Any], *, tanh: bool = False, **more: Any
) -> nn.Module:
    plain = trained(architecture, shape, options, tanh=tanh)
    write_network(
        folder,
        model=plain,
        architecture=architecture,
        options=ClassifierOptions(**options),
        input_shape=shape,
        classes=("circle", "square", "star"),
        tanh=tanh,
        **more,
    )
    return plain


def points(shape: tuple[int, ...], count: int = 6) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A network with a certificate, not to be changed."""
    folder = tmp_path_factory.mktemp("net")
    plain = trained(*FAMILIES["mlp"])
    shape = FAMILIES["mlp"][1]
    certificate = taut.certify.robustness(plain, points(shape), torch.arange(6) % 3)
    return folder, written(folder, *FAMILIES["mlp"], certificate=certificate)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_architecture_computes_what_was_exported(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, shape, options = FAMILIES[family]
    plain = written(tmp_path, name, shape, options)  # which reads it back as it does small networks
    monkeypatch.setattr(build, "LARGE", 0)
    state = torch.get_rng_state()
    net = taut.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(net(points(shape)), plain(points(shape)))
    assert not any(module.training for module in net.model.modules())
    assert not any(parameter.requires_grad for parameter in net.model.parameters())
    own = ("taut.nn", "taut.models")
    assert not [module for module in net.model.modules() if type(module).__module__.startswith(own)] or "resne" in name
    assert not any(hasattr(module, "parametrizations") for module in net.model.modules())


def test_every_architecture_is_one_of_these_families() -> None:
    begun = (*FAMILIES, "cifar-resn", "wide-resn")
    assert not [name for name in models.classifiers() if not name.startswith(begun)]


@pytest.mark.parametrize("activation", LEARNED)
def test_each_activation_keeps_what_it_has_learned(activation: str, tmp_path: Path) -> None:
    options = {"width": 8, "depth": 1, "activation": activation}
    plain = written(tmp_path, "mlp", (5,), options)
    assert torch.equal(taut.load(tmp_path)(points((5,))), plain(points((5,))))


def test_sorted_distances_and_a_tanh_behind_the_logits(tmp_path: Path) -> None:
    options = {"linear": "sort", "width": 4, "depth": 1, "dropout": 0.3}
    plain = written(tmp_path, "distances", (5,), options, tanh=True, norm="linf")
    net = taut.load(tmp_path)
    assert torch.equal(net(points((5,))), plain(points((5,))))
    assert float(net(100 * points((5,))).abs().max()) <= 1.0
    assert (net.norm, net.lipschitz_bound, net.certificate) == ("linf", None, None)


class Shift(nn.Module):
    """Adds numbers that are no part of its state."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.arange(3.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.shift


def test_what_is_not_in_the_weights_is_made_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "classifiers", lambda: {"mine": lambda *_: nn.Sequential(nn.Linear(3, 3), Shift())})
    monkeypatch.setattr(build, "LARGE", 0)
    plain = nn.Sequential(nn.Linear(3, 3), Shift()).eval()
    options = ClassifierOptions()
    write_network(
        tmp_path, model=plain, architecture="mine", options=options, input_shape=(3,), classes=("a", "b", "c")
    )
    assert torch.equal(taut.load(tmp_path)(torch.ones(1, 3)), plain(torch.ones(1, 3)))


def test_what_is_stated_is_that_of_the_certificate(certified: tuple[Path, nn.Module]) -> None:
    folder, _ = certified
    net = taut.load(str(folder))
    stated = taut.certify.Certificate.load(folder / "certificate.json")
    assert net.certificate is not None
    assert net.certificate.to_dict() == stated.to_dict()
    assert (net.classes, net.input_shape) == (("circle", "square", "star"), (1, 4, 4))
    assert (net.norm, net.lipschitz_bound) == ("l2", stated.lipschitz_bound)
    taut.certify.verify(net.certificate, net.model, points((1, 4, 4)), torch.arange(6) % 3)


def test_a_loaded_network_is_called_as_what_it_is(certified: tuple[Path, nn.Module]) -> None:
    folder, plain = certified
    net, x = taut.load(folder), points((1, 4, 4))
    assert net.predict(x) == [net.classes[label] for label in plain(x).argmax(dim=1).tolist()]
    assert torch.equal(net(x.double()), plain(x))
    moving = x.clone().requires_grad_()
    net(moving).sum().backward()
    assert moving.grad is not None
    assert float(moving.grad.norm()) > 0
    for wrong in (x[0], x[:, :, :3], x.reshape(6, 16)):
        for called in (net, net.predict, net.certify):
            with pytest.raises(ValueError, match=r"inputs must be a batch of shape \(batch, 1, 4, 4\), got"):
                called(wrong)
    with pytest.raises(TypeError, match=r"floating-point numbers in \[0, 1\], got torch.uint8"):
        net(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
    x[4] = torch.nan
    with pytest.raises(ValueError, match="input 4 has logits that are not finite"):
        net.predict(x)


def test_radii_are_those_that_robustness_proves(certified: tuple[Path, nn.Module]) -> None:
    folder, plain = certified
    net, x = taut.load(folder), points((1, 4, 4))
    found = net.certify(x)
    label = plain.double()(x.double()).argmax(dim=1)
    assert torch.equal(found.label, label)
    assert float(found.radius.min()) > 0
    assert torch.equal(found.radius, taut.certify.robustness(net.model, x, label).radius)
    assert net.certify(x, (label + 1) % 3).radius.tolist() == [0.0] * 6
    narrow = net.certify(x, norm="linf", arithmetic="float32")
    assert (narrow.norm, narrow.arithmetic.name) == ("linf", "float32")
    assert bool((narrow.radius < found.radius).all())


def test_it_opens_where_nothing_else_is_installed(certified: tuple[Path, nn.Module], tmp_path: Path) -> None:
    """In a process that finds no optional package, and loads no room of data, training or tasks."""
    alone = shutil.copytree(certified[0], tmp_path / "net")
    code = f"""
import sys

from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {OPTIONAL} else super().find_spec(name, path, target)

sys.meta_path = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
import torch, taut
net = taut.load("net")
x = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))
print(net(x).double().tolist())
print(net.certify(x).radius.tolist())
print(sorted({{name.split(".")[1] for name in sys.modules if name.startswith("taut.")}}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=alone.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    logits, radii, rooms = map(eval, done.stdout.splitlines())
    net, x = taut.load(certified[0]), points((1, 4, 4))
    assert logits == net(x).double().tolist()
    assert radii == net.certify(x).radius.tolist()
    assert not {"attacks", "cli", "data", "recipes", "reports", "tasks", "training"} & set(rooms)


def changed(**values: Any) -> Callable[[Path], None]:
    """Other values in model.json."""

    def change(folder: Path) -> None:
        content = json.loads((folder / "model.json").read_text())
        for name, value in values.items():
            where = content["options"] if name in content["options"] or name == "colour" else content
            where[name] = value
        (folder / "model.json").write_text(json.dumps(content))

    return change


def flipped(name: str) -> Callable[[Path], None]:
    """One bit of one byte, in the middle of a file."""

    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return flip


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def replaced(name: str, content: bytes) -> Callable[[Path], None]:
    """Another file, with the SHA-256 that it has."""

    def replace(folder: Path) -> None:
        (folder / name).write_bytes(content)
        sums = json.loads((folder / "model.json").read_text())["sha256"]
        changed(sha256={**sums, name: hashlib.sha256(content).hexdigest()})(folder)

    return replace


def weights(change: Callable[[int, torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """Other weights of the same names, with the SHA-256 that they have."""

    def replace(folder: Path) -> None:
        known = read_tensors(folder / "model.safetensors")
        content = tensor_bytes({name: change(k, tensor) for k, (name, tensor) in enumerate(known.items())})
        replaced("model.safetensors", content)(folder)

    return replace


SUM = "0" * 64
DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights": (flipped("model.safetensors"), "model.safetensors is damaged or was exchanged: its SHA-256"),
    "no weights": (removed("model.safetensors"), "cannot read .*model.safetensors: No such file"),
    "other weights": (
        replaced("model.safetensors", tensor_bytes({"1.weight": torch.zeros(3, 3)})),
        "the weights do not fit the network that is described there: Missing key",
    ),
    "mixed weights": (weights(lambda k, t: t.double() if k else t), "one real type, not torch.float32, torch.float64"),
    "complex weights": (weights(lambda k, t: t.to(torch.complex64)), "one real type, not torch.complex64"),
    "infinite weights": (weights(lambda k, t: t / 0), "model.json: the network computes logits that are not finite"),
    "deep certificate": (replaced("certificate.json", b"[" * 100_000), "is not a certificate, or is damaged"),
    "certificate": (flipped("certificate.json"), "certificate.json is damaged or was exchanged"),
    "no certificate": (removed("certificate.json"), "cannot read .*certificate.json: No such file"),
    "constant": (changed(lipschitz_bound=0.5), "model.json states the constant 0.5 in l2, and its certificate"),
    "no description": (removed("model.json"), "is not an exported network: it has no model.json"),
    "no JSON": (lambda folder: (folder / "model.json").write_text("{"), "model.json is damaged: it is not JSON"),
    "deep JSON": (lambda folder: (folder / "model.json").write_text("[" * 100_000), "model.json is damaged: it is not"),
    "huge constant": (changed(lipschitz_bound=10**400), "lipschitz_bound must be null or a number"),
    "huge option": (changed(lipschitz=10**400), "option lipschitz cannot be 1000"),
    "true version": (changed(format_version=True), "format version True, and this taut reads 1"),
    "format": (changed(format="taut network"), "is not the description of a network that taut exported"),
    "future": (changed(format_version=2, taut="9.1"), "format version 2, and this taut reads 1: .* taut '9.1'"),
    "key": (changed(licence="none"), "model.json is damaged: licence is not known"),
    "classes": (changed(classes=["one", 2]), "classes must be a list of two names or more, not"),
    "shape": (changed(input_shape=[1, 4, True]), "input_shape must be a list of positive sizes"),
    "norm": (changed(norm="l1"), "norm must be one of l2, linf, not 'l1'"),
    "more classes": (changed(classes=list("abcd")), "the weights do not fit .*: size mismatch"),
    "architecture": (changed(architecture="os.system"), "architecture 'os.system', which this taut does not know"),
    "option": (changed(colour=1), "has the option 'colour', which this version of taut does not know"),
    "kind of option": (changed(width="8"), "option width cannot be '8'"),
    "impossible option": (changed(head="none"), "cannot build the network: head must be one of"),
    "other function": (changed(lipschitz=-2.0), "cannot build the network: lipschitz must be"),
    "other tanh": (changed(tanh=True), "the weights do not fit"),
    "other activation": (changed(activation="abs"), "makes a network of it that computes other logits than the one"),
    "outside": (changed(sha256={"../model.safetensors": SUM}), "names the file '../model.safetensors', outside of its"),
    "absolute": (changed(sha256={"/etc/passwd": SUM}), "names the file '/etc/passwd', outside of its folder"),
    "backslash": (changed(sha256={"..\\x": SUM}), "names the file .*, outside of its folder"),
    "no sum": (changed(sha256={"result.json": SUM}), "sha256 does not name model.safetensors"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_one_sentence(damage: str, certified: tuple[Path, nn.Module], tmp_path: Path) -> None:
    change, words = DAMAGES[damage]
    folder = shutil.copytree(certified[0], tmp_path / "net")
    change(folder)
    with pytest.raises(UserError, match=words) as raised:
        taut.load(folder)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder .*none"):
        taut.load(tmp_path / "none")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is a run folder: export it first with taut export .* --out FOLDER"):
        taut.load(tmp_path)
    with pytest.raises(UserError, match=r"config\.json is a file: name the folder"):
        taut.load(tmp_path / "config.json")


def test_writing_refuses_options_that_do_not_make_the_network(tmp_path: Path) -> None:
    plain = trained("mlp", (5,), {"width": 8, "depth": 1})
    for options, words in (({"width": 6}, "do not fit"), ({"width": 8, "activation": "abs"}, "other logits")):
        with pytest.raises(UserError, match=words):
            write_network(
                tmp_path,
                model=plain,
                architecture="mlp",
                options=ClassifierOptions(depth=1, **options),
                input_shape=(5,),
                classes=("a", "b", "c"),
            )

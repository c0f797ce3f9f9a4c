"""The operation `fourier` at 60 digits and against torch; certificates with it, and what is changed in their files."""

import copy
import hashlib
import math

import mpmath
import numpy as np
import pytest
import torch
from torch import nn

import taut
from fourier_oracle import applied, distance, symbol, symbols
from taut import nn as tnn
from taut.certify.norms.fourier import fourier_symbols
from taut.functional import cayley_convolution, reflected_convolution
from taut.verifier import Network, VerificationError, read_network, read_samples, verify
from taut.verifier import fourier as verified
from taut.verifier.arithmetic import gamma
from taut.verifier.constants import proves
from taut.verifier.files import canonical, network_hash, parse_json
from taut.verifier.program import Node
from taut.verifier.recursion import infer_shapes
from taut.verifier.table import OPERATIONS

RNG = np.random.default_rng(5)
# kind, in, out, columns, taps, image
CASES = [
    ("reflection", 2, 2, 1, 2, (2, 3)),
    ("reflection", 2, 4, 2, 3, (3, 2)),
    ("reflection", 3, 2, 2, 3, (1, 4)),
    ("cayley", 2, 2, 2, 3, (4, 3)),
    ("cayley", 1, 3, 1, 2, (2, 1)),
    ("cayley", 3, 2, 2, 3, (1, 1)),
]
cases = pytest.mark.parametrize(("kind", "inputs", "outputs", "columns", "taps", "size"), CASES)


def make(kind, inputs, outputs, columns, taps, size, weight=None):
    if weight is None:
        weight = RNG.standard_normal((max(inputs, outputs), columns, taps, taps))
    tensors = {"weight": weight, "bias": RNG.standard_normal(outputs)}
    settings = {"kind": kind, "channels": [inputs, outputs], "size": list(size)}
    node = Node(1, "fourier", "", [0], settings, tensors)
    infer_shapes([Node(0, "input", "", [], {}, {}), node], (inputs, *size))
    return node


@cases
def test_symbols_and_results_are_within_their_errors(kind, inputs, outputs, columns, taps, size):
    node = make(kind, inputs, outputs, columns, taps, size)
    weight, bias = (torch.from_numpy(node.tensors[key]) for key in ("weight", "bias"))
    values, error = verified.symbols(node)
    assert 0 < error < 1e-8
    with mpmath.workdps(60):
        for at in np.ndindex(values.shape[:2]):
            assert distance(torch.from_numpy(values[at]), symbol(weight, kind, (inputs, outputs), size, at)) <= error
        x = RNG.standard_normal((2, inputs, *size)) * np.array([1.0, 1e9]).reshape(-1, 1, 1, 1)
        result, sizes = OPERATIONS["fourier"].run(node, x)
        made = symbols(weight, kind, (inputs, outputs), size)
        for row, found, room in zip(x, result, sizes, strict=True):
            away = distance(torch.from_numpy(found), applied(made, torch.from_numpy(row), bias))
            assert 0 < away <= gamma(verified.roundings(node)) * np.linalg.norm(room) <= 1e-8 * np.linalg.norm(row)


@cases
def test_both_implementations_find_the_same_error(kind, inputs, outputs, columns, taps, size):
    """It is made of norms, of which rounding changes little."""
    weight = RNG.standard_normal((max(inputs, outputs), columns, taps, taps))
    for scale in (1.0, 1e-3, 1e3):
        node = make(kind, inputs, outputs, columns, taps, size, weight * scale)
        found = fourier_symbols(torch.from_numpy(weight * scale), kind=kind, channels=(inputs, outputs), size=size)
        values, error = verified.symbols(node)
        assert error == pytest.approx(found.error, rel=1e-6, abs=0.0)
        assert np.linalg.norm(values.reshape(found.values.shape) - found.values.numpy()) <= error


@pytest.mark.parametrize("scale", [1e-4, 1e-7, 0.0])
def test_symbols_of_kernels_that_are_almost_singular(scale):
    weight = RNG.standard_normal((3, 2, 2, 2))
    weight[:, 1] = weight[:, 0] + scale * weight[:, 1]
    node = make("reflection", 3, 3, 2, 2, (2, 2), weight=weight)
    values, error = verified.symbols(node)
    with mpmath.workdps(60):
        for at in np.ndindex(values.shape[:2]):
            exact = symbol(torch.from_numpy(weight), "reflection", (3, 3), (2, 2), at)
            assert distance(torch.from_numpy(values[at]), exact) <= error < 1e-5


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 12, 31, 64])
def test_the_circle_is_rounded_correctly(count):
    with mpmath.workdps(60):
        for j, found in enumerate(verified.circle(count)):
            exact = mpmath.expjpi(-mpmath.mpf(2 * j) / count)
            for a, b in ((found.real, exact.real), (found.imag, exact.imag)):
                assert abs(mpmath.mpf(float(a)) - b) <= abs(b) * mpmath.mpf(2) ** -53 + mpmath.mpf(2) ** -100


@cases
def test_results_are_those_of_torch(kind, inputs, outputs, columns, taps, size):
    node = make(kind, inputs, outputs, columns, taps, size)
    x = RNG.standard_normal((5, inputs, *size))
    weight, bias = (torch.from_numpy(node.tensors[key]) for key in ("weight", "bias"))
    if kind == "cayley":
        wanted = cayley_convolution(torch.from_numpy(x), weight, wide=outputs < inputs)
    else:
        wanted = reflected_convolution(torch.from_numpy(x), weight, in_channels=inputs, out_channels=outputs)
    result, sizes = OPERATIONS["fourier"].run(node, x)
    gap = np.linalg.norm((result - (wanted + bias.reshape(-1, 1, 1)).numpy()).reshape(5, -1), axis=1)
    assert (gap <= gamma(verified.roundings(node)) * np.linalg.norm(sizes.reshape(5, -1), axis=1)).all()


@cases
def test_the_constant_is_one_in_l2_alone(kind, inputs, outputs, columns, taps, size):
    node = make(kind, inputs, outputs, columns, taps, size)
    x, step = RNG.standard_normal((2, 300, inputs, *size))
    one, other = (OPERATIONS["fourier"].run(node, v) for v in (x, x + step))
    moved = np.linalg.norm(step.reshape(300, -1), axis=1)
    slopes = np.linalg.norm((other[0] - one[0]).reshape(300, -1), axis=1) / moved
    assert slopes.max() <= 1 + 1e-12
    if inputs <= outputs:
        assert slopes.min() >= 1 - 1e-12
    rise = np.linalg.norm(other[1].reshape(300, -1), axis=1) - np.linalg.norm(one[1].reshape(300, -1), axis=1)
    assert (rise <= verified.spread(node, "l2") * moved * (1 + 1e-9)).all()
    assert proves(node, 1.0, "l2")
    assert not proves(node, 1 - 2.0**-53, "l2")
    assert not proves(node, 1 + 2.0**-23, "l2")
    with pytest.raises(VerificationError, match="in l2 only"):
        proves(node, 1.0, "linf")


def test_roundings_and_spread_are_those_of_the_document():
    node = make("reflection", 5, 3, 2, 3, (7, 10))  # h = 6: 3 (40 + 12) + 3 (56 + 4) + 4 * 2 * 5 + 8
    assert verified.roundings(node) == 156 + 180 + 40 + 8
    wanted = 1 + 1.5 * verified.symbols(node)[1] / gamma(384)
    assert verified.spread(node, "l2") == pytest.approx(wanted, rel=1e-9)
    x = RNG.standard_normal((1, 5, 7, 10))
    even = wanted * np.linalg.norm(x) / math.sqrt(3 * 70)
    sizes = np.broadcast_to(even + np.abs(node.tensors["bias"]).reshape(-1, 1, 1), (3, 7, 10))
    np.testing.assert_allclose(OPERATIONS["fourier"].run(node, x)[1][0], sizes, rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"kind": "bro"}, "the kind is"),
        ({"kind": "cayley"}, "does not fit"),
        ({"channels": [2, 3]}, r"\(2, 1, 2, 2\)"),
        ({"channels": [3, 2]}, "is not what it takes"),
        ({"channels": [2]}, "is no pair"),
        ({"channels": [2, 2, 2]}, "is no pair"),
        ({"size": [3, 2]}, "is not what it takes"),
        ({"size": [2]}, "is no pair"),
        ({"weight": RNG.standard_normal((2, 1, 2))}, r"\(2, 1, 2\)"),
        ({"weight": np.zeros((2, 0, 2, 2))}, r"\(2, 0, 2, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(changes, pattern):
    node = make("reflection", 2, 2, 1, 2, (2, 3))
    node.settings |= {key: value for key, value in changes.items() if key != "weight"}
    node.tensors["weight"] = changes.get("weight", node.tensors["weight"])
    with pytest.raises(VerificationError, match=pattern):
        infer_shapes([Node(0, "input", "", [], {}, {}), node], (2, 2, 3))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificate, network and samples as taut writes them, of a picture with a frame of zeros that is cut again."""

    class Framed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = tnn.BROConv2d(2, 4, 3), tnn.CayleyConv2d(4, 3, 3, bias=False)
            self.head = nn.Linear(3 * 4 * 5, 3)

        def forward(self, x):
            x = torch.relu(self.first(nn.functional.pad(x, (1, 1, 1, 1))))[:, :, 1:-1, 1:-1]
            return self.head(self.second(x).flatten(1))

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("fourier")
    network, inputs = Framed(), torch.rand(4, 2, 4, 5)
    with torch.no_grad():
        labels = network(inputs).argmax(1)
    found = taut.certify.robustness(taut.fold(network), inputs, labels)
    taut.certify.verify(found, network, inputs, labels)
    assert bool((found.radius > 0).all())
    found.save(folder / "certificate.json")
    taut.certify.save_program(taut.certify.lower(network, (2, 4, 5)), folder / "network.safetensors")
    taut.certify.save_samples(inputs, labels, folder / "samples.npz")
    certificate = parse_json((folder / "certificate.json").read_bytes(), "the certificate")
    return certificate, read_network(folder / "network.safetensors"), read_samples(folder / "samples.npz"), folder


def test_files_are_proven_and_a_flipped_bit_is_not(files):
    certificate, network, samples, folder = files
    verify(certificate, network, *samples)
    assert [node["op"] for node in network.program["nodes"]].count("fourier") == 2
    raw = bytearray((folder / "network.safetensors").read_bytes())
    for at in (-1, -200, -1000):
        raw[at] ^= 1
        (folder / "changed.safetensors").write_bytes(raw)
        raw[at] ^= 1
        with pytest.raises(VerificationError, match="model is not that"):
            verify(certificate, read_network(folder / "changed.safetensors"), *samples)


def resealed(certificate, network, **changes):
    """By someone who knows how hashes are made."""
    changed = certificate | {"model_hash": network_hash(network)} | changes
    content = {key: value for key, value in changed.items() if key != "sha256"}
    return content | {"sha256": hashlib.sha256(canonical(content)).hexdigest()}


def test_resealed_files_prove_nothing_else(files):
    certificate, network, samples, _ = files
    places = [i for i, node in enumerate(network.program["nodes"]) if node["op"] == "fourier"]
    for place, key, value in [
        (places[0], "kind", "cayley"),
        (places[1], "kind", "reflection"),
        (places[0], "size", [7, 6]),
        (places[0], "channels", [4, 2]),
        (places[1], "channels", [4, 4]),
        (places[0], "roundings", 1),
    ]:
        program = copy.deepcopy(network.program)
        program["nodes"][place][key] = value
        other = Network(program, network.tensors, network.dtypes)
        with pytest.raises(VerificationError):
            verify(resealed(certificate, other), other, *samples)
    for key in (f"{places[0]}.weight", f"{places[0]}.bias", f"{places[1]}.weight"):
        tensor = network.tensors[key].copy()
        tensor += 1e-3 * np.cos(np.arange(tensor.size, dtype=np.float32)).reshape(tensor.shape)
        other = Network(network.program, network.tensors | {key: tensor}, network.dtypes)
        with pytest.raises(VerificationError, match="margin of sample 0"):
            verify(resealed(certificate, other), other, *samples)
    layers = copy.deepcopy(certificate["layers"])
    layers[places[0] - 1]["bound"] = 1 - 2.0**-53
    with pytest.raises(VerificationError, match="not the constant"):
        verify(resealed(certificate, network, layers=layers), network, *samples)
    with pytest.raises(VerificationError, match="l2 only"):
        verify(resealed(certificate, network, norm="linf"), network, *samples)
    for name, numbers in {"float32": (0.0, 2.0**-24, 2.0**-24), "bfloat16": (2.0**-7, 2.0**-23, 2.0**-8)}.items():
        roundings = dict(zip(("operand", "accumulate", "result"), numbers, strict=True))
        arithmetic = {"name": name, "statement": "", "tiny": 2.0**-62, "largest": 2.0**100, **roundings}
        with pytest.raises(VerificationError, match="float64 only"):
            verify(resealed(certificate, network, arithmetic=arithmetic), network, *samples)
    further = [math.nextafter(r * (1 + 1e-6), 1.0) for r in certificate["radius"]]
    with pytest.raises(VerificationError, match="radius of sample 0"):
        verify(resealed(certificate, network, radius=further), network, *samples)


@pytest.mark.parametrize("arithmetic", ["real", "float32-accumulate64"])
def test_the_other_arithmetics_are_proven(arithmetic):
    torch.manual_seed(0)
    network = nn.Sequential(tnn.CayleyConv2d(2, 2, 3), tnn.BROConv2d(2, 2, 1), nn.Flatten(), nn.Linear(18, 3))
    inputs = torch.rand(3, 2, 3, 3)
    with torch.no_grad():
        labels = network(inputs).argmax(1)
    certificate = taut.certify.robustness(network, inputs, labels, arithmetic=arithmetic)
    assert bool((certificate.radius > 0).all())
    taut.certify.verify(certificate, network, inputs, labels)

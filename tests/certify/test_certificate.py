"""The certificate file: exact, whole or absent, and refused when anything in it or under it has changed."""

import copy
import dataclasses
import functools
import hashlib
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify import Certificate, CertificateError, LayerConstant, robustness, verify
from taut.certify.program.encoding import canonical, data_hash
from taut.errors import UserError


@functools.cache
def folded() -> nn.Module:
    torch.manual_seed(0)
    return tnn.fold(tnn.Sequential(tnn.BjorckLinear(6, 8), tnn.MaxMin(), tnn.UnitNormLinear(8, 3)))


def network() -> nn.Module:
    return copy.deepcopy(folded())


def samples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(12, 6, generator=generator)
    labels = network()(inputs).argmax(dim=1)
    labels[3] = (labels[3] + 1) % 3
    inputs[5] = math.nan
    return inputs, labels


@pytest.fixture(scope="module", params=["l2", "linf"])
def certificate(request: pytest.FixtureRequest) -> Certificate:
    """Made once: tests change copies."""
    return robustness(network(), *samples(), norm=request.param)


def test_a_true_certificate_is_verified_also_unfolded(certificate: Certificate) -> None:
    verify(certificate, network(), *samples())


def test_the_file_keeps_every_bit(certificate: Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "c.json")
    loaded = Certificate.load(tmp_path / "c.json")
    for field in dataclasses.fields(Certificate):
        one, two = getattr(certificate, field.name), getattr(loaded, field.name)
        if isinstance(one, Tensor):
            assert one.dtype == two.dtype
            assert torch.equal(one.nan_to_num(nan=-77.0), two.nan_to_num(nan=-77.0))
        else:
            assert one == two
    verify(loaded, network(), *samples())


def test_the_file_is_strict_json_and_alone_in_its_folder(certificate: Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "c.json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads((tmp_path / "c.json").read_text(), parse_constant=refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_a_failed_save_leaves_the_old_file(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate.save(tmp_path / "c.json")
    before = (tmp_path / "c.json").read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UserError, match="No space left"):
        certificate.save(tmp_path / "c.json")
    assert (tmp_path / "c.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_accuracy_counts_correct_and_certified_accuracy_radii_strictly_above() -> None:
    values = torch.tensor([0.0, 0.5, 0.5, 1.0], dtype=torch.float64)
    made = dataclasses.replace(
        robustness(network(), *samples()),
        radius=values,
        margin=values,
        prediction=torch.tensor([0, 1, 1, -1]),
        label=torch.tensor([1, 1, 1, 1]),
    )
    assert made.accuracy == 0.5
    assert [made.certified_accuracy(eps) for eps in (0.0, 0.25, 0.5, 1.0)] == [0.75, 0.75, 0.25, 0.0]
    for eps in (-0.1, math.nan):
        with pytest.raises(ValueError, match="eps"):
            made.certified_accuracy(eps)


# --- what verify refuses ----------------------------------------------------------------------------------------------


def flip_last_bit(tensor: Tensor, index: int) -> Tensor:
    """The same tensor with the last bit of one entry's significand changed."""
    flipped = tensor.detach().clone()
    bits = flipped.view({torch.float32: torch.int32, torch.float64: torch.int64}[tensor.dtype])
    bits.view(-1)[index] ^= 1
    return flipped


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_one_bit_of_a_weight(certificate: Certificate, layer: int, name: str) -> None:
    model = network()
    parameter = getattr(model[layer], name)
    with torch.no_grad():
        parameter.copy_(flip_last_bit(parameter, 1))
    with pytest.raises(CertificateError, match="the model is not that"):
        verify(certificate, model, *samples())


def test_another_activation_or_dtype(certificate: Certificate) -> None:
    model = network()
    model[1] = nn.ReLU()
    with pytest.raises(CertificateError, match="the model is not that"):
        verify(certificate, model, *samples())
    with pytest.raises(CertificateError, match="the model is not that"):
        verify(certificate, network().double(), *samples())


def test_shapes_and_dtypes_are_hashed_with_the_bytes() -> None:
    inputs = torch.zeros(2, 6)
    variants = (inputs, inputs.reshape(6, 2), inputs.reshape(2, 2, 3), torch.zeros(2, 3, dtype=torch.float64))
    assert len({data_hash(variant) for variant in variants}) == len(variants)
    assert data_hash(inputs.T.contiguous().T) == data_hash(inputs)  # whatever the layout in memory


def test_one_bit_of_the_inputs(certificate: Certificate) -> None:
    inputs, labels = samples()
    with pytest.raises(CertificateError, match="inputs"):
        verify(certificate, network(), flip_last_bit(inputs, 7), labels)


def test_a_label(certificate: Certificate) -> None:
    inputs, labels = samples()
    changed = labels.clone()
    changed[4] = (changed[4] + 1) % 3
    with pytest.raises(CertificateError, match="label of sample 4"):
        verify(certificate, network(), inputs, changed)
    with pytest.raises(CertificateError, match="label of sample 4"):
        verify(dataclasses.replace(certificate, label=changed), network(), inputs, labels)


def test_missing_samples(certificate: Certificate) -> None:
    inputs, labels = samples()
    with pytest.raises(CertificateError, match="inputs"):
        verify(certificate, network(), inputs[:-1], labels[:-1])


def scaled(layer: LayerConstant, factor: float) -> LayerConstant:
    return dataclasses.replace(layer, bound=layer.bound * factor)


@pytest.mark.parametrize("factor", [1 - 1e-7, 0.5, 1 + 1e-6, 2.0, math.nan, math.inf])
def test_a_constant(certificate: Certificate, factor: float) -> None:
    for position in (0, 1, 2):
        layers = list(certificate.layers)
        layers[position] = scaled(layers[position], factor)
        with pytest.raises(CertificateError, match=f"node {position + 1}|the layers' constants give"):
            verify(dataclasses.replace(certificate, layers=tuple(layers)), network(), *samples())
    changed = dataclasses.replace(certificate, lipschitz_bound=certificate.lipschitz_bound * factor)
    with pytest.raises(CertificateError, match="lipschitz_bound"):
        verify(changed, network(), *samples())


def test_a_layer_that_is_left_out(certificate: Certificate) -> None:
    with pytest.raises(CertificateError, match="layers"):
        verify(dataclasses.replace(certificate, layers=certificate.layers[:-1]), network(), *samples())


@pytest.mark.parametrize("factor", [1 + 1e-7, 1 - 1e-6, 2.0, 0.0, -1.0, math.nan, math.inf])
def test_a_radius(certificate: Certificate, factor: float) -> None:
    radius = certificate.radius.clone()
    radius[0] *= factor
    with pytest.raises(CertificateError, match="radius of sample 0"):
        verify(dataclasses.replace(certificate, radius=radius), network(), *samples())


@pytest.mark.parametrize("index", [3, 5])
def test_a_radius_for_a_mistake_or_for_nan(certificate: Certificate, index: int) -> None:
    assert float(certificate.radius[index]) == 0.0
    radius = certificate.radius.clone()
    radius[index] = 1e-30
    with pytest.raises(CertificateError, match=f"sample {index}"):
        verify(dataclasses.replace(certificate, radius=radius), network(), *samples())


@pytest.mark.parametrize(("index", "value"), [(0, 1e-9), (0, math.nan), (5, 1.0)])
def test_a_margin(certificate: Certificate, index: int, value: float) -> None:
    margin = certificate.margin.clone()
    margin[index] += value
    margin[index] = margin[index] if index == 0 else value
    with pytest.raises(CertificateError, match=f"sample {index}"):
        verify(dataclasses.replace(certificate, margin=margin), network(), *samples())


@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_prediction(certificate: Certificate, index: int) -> None:
    prediction = certificate.prediction.clone()
    prediction[index] = (prediction[index] + 1) % 3
    with pytest.raises(CertificateError, match=f"sample {index}"):
        verify(dataclasses.replace(certificate, prediction=prediction), network(), *samples())


def test_the_other_norm(certificate: Certificate) -> None:
    other: Any = {"l2": "linf", "linf": "l2"}[certificate.norm]
    with pytest.raises(CertificateError):
        verify(dataclasses.replace(certificate, norm=other), network(), *samples())


# --- what load refuses ------------------------------------------------------------------------------------------------


def test_any_flipped_bit_of_the_file(certificate: Certificate, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    certificate.save(path)
    whole = path.read_bytes()
    positions = random.Random(0).sample(range(len(whole) - 1), 150)
    refused = 0
    for position in positions:
        for bit in (0, 3):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                loaded = Certificate.load(path)
            except CertificateError:
                refused += 1
            else:  # the 17th digit of a number may change without changing the number
                assert loaded.to_dict() == certificate.to_dict()
    assert refused > 270


def edited(certificate: Certificate, path: Path, **changes: Any) -> Path:
    """A file with a changed content and a checksum to match."""
    certificate.save(path)
    content = json.loads(path.read_text())
    del content["sha256"]
    content |= changes
    content["sha256"] = hashlib.sha256(canonical(content)).hexdigest()
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": "something"}, "not a certificate"),
        ({"format_version": 1}, "format version 1"),
        ({"norm": "l1"}, "l1"),
        ({"radius": [1.0]}, "different lengths"),
        ({"radius": ["x"] * 12}, "damaged"),
        ({"layers": [{"name": "0"}]}, "bound"),
        ({"layers": 3}, "damaged"),
        ({"label": None}, "damaged"),
        ({"versions": []}, "damaged"),
    ],
)
def test_a_content_that_makes_no_sense(
    certificate: Certificate, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(CertificateError, match=named):
        Certificate.load(edited(certificate, tmp_path / "c.json", **changes))


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    for name, text in (("empty", ""), ("list", "[]"), ("text", "hello"), ("cut", '{"format": "taut certif')):
        (tmp_path / name).write_text(text)
        with pytest.raises(CertificateError, match=name):
            Certificate.load(tmp_path / name)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CertificateError, match="bytes"):
        Certificate.load(tmp_path / "bytes")
    with pytest.raises(CertificateError, match="No such file"):
        Certificate.load(tmp_path / "absent")
    with pytest.raises(UserError, match="cannot write"):
        robustness(network(), *samples()).save(tmp_path / "text" / "c.json")  # a file, not a folder


def test_a_forged_radius_with_a_matching_checksum_is_not_verified(certificate: Certificate, tmp_path: Path) -> None:
    radius = certificate.radius.tolist()
    radius[0] *= 1 + 1e-7
    forged = Certificate.load(edited(certificate, tmp_path / "c.json", radius=radius))
    with pytest.raises(CertificateError, match="radius of sample 0"):
        verify(forged, network(), *samples())

"""A certificate made by hand, and everything that can be wrong with it."""

import copy
import hashlib
import json
import math
import struct
import subprocess
import sys

import numpy as np
import pytest

from taut.verifier import Network, VerificationError, read_network, verify
from taut.verifier.files import data_hash, network_hash

# f(x) = W x with rows (2, 0) and (0, 1): constant 2, and 2 in linf too. D = |(2, -1)|.
NODES = [
    {"op": "input", "name": "", "inputs": [], "shape": [2]},
    {"op": "linear", "name": "head", "inputs": [0]},
]
WEIGHT = np.array([[2.0, 0.0], [0.0, 1.0]], dtype=np.float32)
INPUTS = np.array([[1.0, 0.5], [-1.0, 0.25], [0.5, 1.0], [0.5, 3.0]])
LABELS = np.array([0, 1, 0, 0])  # margins 1.5, 2.25, 0 (a tie), -2
NETWORK = Network({"nodes": NODES}, {"1.weight": WEIGHT}, {"1.weight": "F32"})
ARITHMETIC = {
    "name": "float64",
    "statement": "",
    "operand": 0.0,
    "accumulate": 2.0**-53,
    "result": 0.0,
    "tiny": 2.0**-500,
    "largest": 2.0**900,
}
SLACK = 1 - 1e-9


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def seal(certificate):
    """With the checksum that belongs to it."""
    certificate = {k: v for k, v in certificate.items() if k != "sha256"}
    return certificate | {"sha256": hashlib.sha256(canonical(certificate)).hexdigest()}


def honest(**changes):
    root = math.sqrt(5)
    program = canonical({"nodes": NODES})
    return seal(
        {
            "format": "taut certificate",
            "format_version": 2,
            "claim": "class",
            "k": 1,
            "threshold": 0.0,
            "norm": "l2",
            "arithmetic": ARITHMETIC,
            "lipschitz_bound": 2.0 * (1 + 2.0**-27),
            "layers": [{"node": 1, "name": "head", "op": "linear", "bound": 2.0 * (1 + 2.0**-27), "method": ""}],
            "model_hash": hashlib.sha256(program + b"1.weight F32 2,2\n" + struct.pack("<4f", 2, 0, 0, 1)).hexdigest(),
            "data_hash": hashlib.sha256(b"F64 4,2\n" + struct.pack("<8d", *INPUTS.ravel())).hexdigest(),
            "versions": {"taut": "0"},
            "label": [0, 1, 0, 0],
            "prediction": [0, 1, 0, 1],
            "margin": [1.5, 2.25, 0.0, -2.0],
            "radius": [1.5 / root * SLACK, 2.25 / root * SLACK, 0.0, 0.0],
        }
        | changes
    )


def refuse(certificate, pattern, network=NETWORK, inputs=INPUTS, labels=LABELS):
    with pytest.raises(VerificationError, match=pattern) as caught:
        verify(certificate, network, inputs, labels)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_honest_certificate_holds():
    verify(honest(), NETWORK, INPUTS, LABELS)


def test_an_honest_certificate_in_linf():
    """D = |(2, -1)|_1 = 3."""
    verify(honest(norm="linf", radius=[0.5 * SLACK, 0.75 * SLACK, 0.0, 0.0]), NETWORK, INPUTS, LABELS)


def test_of_one_output():
    nodes = [*NODES[:1], {"op": "linear", "name": "head", "inputs": [0]}]
    weight = np.array([[3.0, 4.0]], dtype=np.float32)
    network = Network({"nodes": nodes}, {"1.weight": weight}, {"1.weight": "F32"})
    bound = 5 * (1 + 2.0**-27)
    layer = {"node": 1, "name": "head", "op": "linear", "bound": bound, "method": ""}
    certificate = honest(
        claim="sign",
        threshold=1.0,
        layers=[layer],
        lipschitz_bound=bound,
        model_hash=network_hash(network),
        label=[1, 0, 0, 1],
        prediction=[1, 0, 1, 1],
        margin=[4.0, 3.0, -4.5, 12.5],
        radius=[0.8 * SLACK, 0.6 * SLACK, 0.0, 2.5 * SLACK],
    )
    labels = np.array([1, 0, 0, 1])
    verify(certificate, network, INPUTS, labels)
    refuse(seal(certificate | {"threshold": 1.1}), "margin of sample 0", network, labels=labels)
    refuse(seal(certificate | {"prediction": [1, 0, 0, 1]}), "prediction of sample 2", network, labels=labels)
    refuse(seal(certificate | {"radius": [0.81, 0.6 * SLACK, 0.0, 2.5]}), "radius of sample 0", network, labels=labels)
    refuse(seal(certificate | {"claim": "class", "threshold": 0.0}), "k = 1 for 1 outputs", network, labels=labels)


def test_of_the_two_largest_of_three():
    """Logits x, y, 0: the second smallest gap counts."""
    weight = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    network = Network({"nodes": NODES}, {"1.weight": weight}, {"1.weight": "F32"})
    bound = 1 + 2.0**-27
    layer = {"node": 1, "name": "head", "op": "linear", "bound": bound, "method": ""}
    certificate = honest(
        claim="top_k",
        k=2,
        layers=[layer],
        lipschitz_bound=bound,
        model_hash=network_hash(network),
        label=[1, 1, 0, 0],
        prediction=[0, 1, 1, 1],
        margin=[0.5, 1.25, 0.5, 0.5],
        radius=[0.5 * SLACK, 1.25 / math.sqrt(2) * SLACK, 0.5 * SLACK, 0.5 * SLACK],
    )
    labels = np.array([1, 1, 0, 0])
    verify(certificate, network, INPUTS, labels)
    refuse(seal(certificate | {"k": 1}), "k is 1|margin of sample 0", network, labels=labels)
    refuse(seal(certificate | {"k": 3}), "k = 3 for 3 outputs", network, labels=labels)


def test_the_tie_and_the_misclassified_have_no_radius():
    for i in (2, 3):
        radii = honest()["radius"]
        radii[i] = 1e-300
        refuse(honest(radius=radii), f"radius of sample {i} is 1e-300, above 0.0")


@pytest.mark.parametrize("factor", [1 + 2e-9, 1.01, 1 - 1e-7, 0.5, 0.0])
def test_a_radius_that_differs_is_named(factor):
    radii = honest()["radius"]
    radii[1] *= factor
    refuse(honest(radius=radii), "radius of sample 1")


BAD_FIELDS = [
    ("format", "taut"),
    ("format_version", 1),
    ("format_version", True),
    ("format_version", 2.0),
    ("claim", "best"),
    ("claim", ["class"]),
    ("k", 2),
    ("k", True),
    ("k", 1.0),
    ("threshold", 0.5),
    ("threshold", "nan"),
    ("norm", "l1"),
    ("norm", {}),
    ("lipschitz_bound", 2.0),
    ("lipschitz_bound", math.nextafter(2.0 * (1 + 2.0**-27), 3)),
    ("lipschitz_bound", "inf"),
    ("lipschitz_bound", -1.0),
    ("lipschitz_bound", True),
    ("layers", []),
    ("layers", {}),
    ("layers", [None]),
    ("model_hash", "0" * 64),
    ("model_hash", None),
    ("data_hash", ""),
    ("versions", []),
    ("versions", {"taut": 1}),
    ("label", [0, 1, 0, 1]),
    ("label", [0, 1, 0]),
    ("label", [False, 1, 0, 0]),
    ("label", [0.0, 1, 0, 0]),
    ("label", 3),
    ("prediction", [1, 1, 0, 1]),
    ("prediction", [0, 1, 0, 2]),
    ("prediction", [0, 1, 0, -1]),
    ("prediction", [0, True, 0, 1]),
    ("margin", [1.5, 2.25, 0.0, -2.0000001]),
    ("margin", ["nan", 2.25, 0.0, -2.0]),
    ("margin", ["inf", 2.25, 0.0, -2.0]),
    ("margin", [None, 2.25, 0.0, -2.0]),
    ("margin", [1.5 + 1e-12, 2.25, 0.0, -2.0]),
    ("radius", [-1.0, 1.0, 0.0, 0.0]),
    ("radius", ["inf", 1.0, 0.0, 0.0]),
    ("radius", ["nan", 1.0, 0.0, 0.0]),
    ("radius", [True, 1.0, 0.0, 0.0]),
    ("radius", [10**400, 1.0, 0.0, 0.0]),
    ("arithmetic", {}),
    ("arithmetic", ARITHMETIC | {"more": 1}),
    ("arithmetic", ARITHMETIC | {"name": "exact"}),
    ("arithmetic", ARITHMETIC | {"accumulate": 0.0}),
    ("arithmetic", ARITHMETIC | {"largest": 1e300}),
    ("arithmetic", ARITHMETIC | {"tiny": 0.0}),
    ("arithmetic", ARITHMETIC | {"operand": "nan"}),
    ("arithmetic", ARITHMETIC | {"operand": -0.1}),
    ("arithmetic", ARITHMETIC | {"largest": 0.5}),
    ("arithmetic", ARITHMETIC | {"accumulate": 2.0**-24}),
]


@pytest.mark.parametrize(("key", "value"), BAD_FIELDS)
def test_every_field_is_checked(key, value):
    refuse(honest(**{key: value}), ".")


@pytest.mark.parametrize("key", sorted(honest()))
def test_every_field_is_needed_and_covered_by_the_checksum(key):
    certificate = honest()
    del certificate[key]
    refuse(certificate, f"lacks '{key}'")
    changed = honest()
    changed[key] = "0" if key != "norm" else "linf"
    refuse(changed, "checksum|format|claim")


def test_other_fields_are_refused():
    refuse(honest(comment="hello"), "unknown field, 'comment'")
    refuse([], "no JSON object")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bound", 1.9),
        ("bound", 2 * (1 - 1e-12)),
        ("bound", None),
        ("bound", "inf"),
        ("bound", True),
        ("bound", -2.0),
        ("op", "conv"),
        ("name", "tail"),
        ("node", 2),
        ("node", True),
        ("method", 1),
        ("more", 1),
    ],
)
def test_every_field_of_a_layer_is_checked(key, value):
    layer = honest()["layers"][0] | {key: value}
    bound = value if isinstance(value, float) else honest()["lipschitz_bound"]
    refuse(honest(layers=[layer], lipschitz_bound=bound), "node 1|lipschitz_bound")


def test_a_larger_constant_costs_radius():
    """A constant above what is needed can be stated; here nothing before the head moves, so the radii stay."""
    layer = honest()["layers"][0] | {"bound": 2.5}
    verify(honest(layers=[layer], lipschitz_bound=2.5), NETWORK, INPUTS, LABELS)


def test_data_and_labels():
    refuse(honest(), "label of sample 1", labels=np.array([0, 0, 0, 0]))
    refuse(honest(), "inputs are not those", inputs=INPUTS + 1e-9)
    refuse(honest(), "inputs are not those", inputs=INPUTS.astype(np.float32))
    refuse(honest(), "inputs", inputs=INPUTS.astype(np.float16))
    refuse(honest(), "labels", labels=LABELS.astype(np.int32))
    refuse(honest(), "labels", labels=LABELS[:2])
    for wrong in ([0, 1, 0, 2], [0, 1, 0, -1]):
        refuse(honest(label=wrong), "a label is not within 0 to 1", labels=np.array(wrong))
    big = np.zeros((4, 3))
    refuse(honest(data_hash=data_hash(big)), "samples of shape", inputs=big)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_inputs_that_are_no_numbers_have_no_radius(value):
    inputs = INPUTS.copy()
    inputs[0, 0] = value
    certificate = honest(data_hash=data_hash(inputs))
    refuse(certificate, "sample 0", inputs=inputs)
    certificate["radius"][0] = 0.0
    if value == 1e300:
        certificate["margin"][0] = 2e300
    else:
        for key, needed, other in (("margin", "nan", "inf"), ("prediction", -1, 0)):
            certificate[key][0] = other
            refuse(seal(certificate), "sample 0 is not finite", inputs=inputs)
            certificate[key][0] = needed
            certificate["margin"][0] = "nan"
    verify(seal(certificate), NETWORK, inputs, LABELS)


def with_nodes(nodes, tensors=None, dtypes=None):
    tensors = {"1.weight": WEIGHT} if tensors is None else tensors
    network = Network({"nodes": nodes}, tensors, dtypes or dict.fromkeys(tensors, "F32"))
    return network, honest(model_hash=network_hash(network))


HEAD = NODES[1]


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        NODES[:1],
        [HEAD],
        [*NODES, HEAD | {"inputs": [2]}],
        [NODES[0], HEAD | {"inputs": [1]}],
        [NODES[0], HEAD | {"inputs": [-1]}],
        [NODES[0], HEAD | {"inputs": [False]}],
        [NODES[0], HEAD | {"inputs": []}],
        [NODES[0], HEAD | {"inputs": [0, 0]}],
        [NODES[0], HEAD | {"inputs": 0}],
        [NODES[0], HEAD | {"op": "dense"}],
        [NODES[0], HEAD | {"op": ["linear"]}],
        [NODES[0], HEAD | {"groups": 1}],
        [NODES[0], HEAD | {"name": None}],
        [NODES[0], {k: v for k, v in HEAD.items() if k != "name"}],
        [NODES[0], None],
        [NODES[0], NODES[0]],
        [NODES[0] | {"shape": [2, 10**30]}, HEAD],
        [NODES[0] | {"shape": [3]}, HEAD],
        [NODES[0] | {"shape": "2"}, HEAD],
        [NODES[0] | {"shape": [2.0]}, HEAD],
        [*NODES, {"op": "pad", "name": "", "inputs": [1], "widths": [[0, 10**9]]}],
        [*NODES, {"op": "pad", "name": "", "inputs": [1], "widths": [[0, -1]]}],
        [*NODES, {"op": "take", "name": "", "inputs": [1], "axis": 0, "index": [0, True]}],
        [*NODES, {"op": "take", "name": "", "inputs": [1], "axis": 0, "index": [0, 2]}],
        [*NODES, {"op": "reshape", "name": "", "inputs": [1], "shape": [1, 1]}],
        [*NODES, {"op": "scale", "name": "", "inputs": [1], "factor": "inf"}],
        [*NODES, {"op": "add", "name": "", "inputs": [1]}],
        [*NODES, {"op": "concat", "name": "", "inputs": [], "axis": 0}],
        [*NODES, {"op": "relu", "name": "", "inputs": [1]}],
    ],
)
def test_malformed_programs(nodes):
    network, certificate = with_nodes(nodes)
    extra = [
        {"node": i, "name": "", "op": n.get("op") if n else "", "bound": 1.0, "method": ""} for i, n in enumerate(nodes)
    ]
    refuse(seal(certificate | {"layers": [*certificate["layers"], *extra[2:-1]]}), ".", network)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"1.weight": WEIGHT, "1.more": WEIGHT},
        {"1.weight": WEIGHT, "2.weight": WEIGHT},
        {"1.weight": WEIGHT * np.float32(math.nan)},
        {"1.weight": WEIGHT[:, :1]},
        {"1.weight": WEIGHT[0]},
        {"1.weight": np.zeros((0, 2), np.float32)},
        {"1.weight": WEIGHT, "1.bias": WEIGHT},
        {"1.weight": WEIGHT.astype(float)},
    ],
)
def test_malformed_tensors(tensors):
    refuse(*reversed(with_nodes(NODES, tensors, dict.fromkeys(tensors, "F32"))[1:]), ".", with_nodes(NODES, tensors)[0])


@pytest.mark.parametrize("value", [2.0000002, 1.0])
def test_another_weight_is_another_model(value):
    weight = WEIGHT.copy()
    weight[0, 0] = value
    network = Network({"nodes": NODES}, {"1.weight": weight}, {"1.weight": "F32"})
    refuse(honest(), "the model is not that of the certificate", network)


def write_network(path, header, data=None):
    raw = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + (WEIGHT.tobytes() if data is None else data))
    return path


META = {"format": "taut network", "format_version": "1", "program": json.dumps({"nodes": NODES})}
ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
HEADER = {"__metadata__": META, "1.weight": ENTRY}


def run_program(*arguments, block="torch"):
    code = f"import sys; sys.modules[{block!r}] = None; sys.argv[0] = 'v'; import runpy; "
    code += "runpy.run_module('taut.verifier', run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def files(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(honest()))
    write_network(tmp_path / "n.safetensors", HEADER)
    np.savez(tmp_path / "s.npz", inputs=INPUTS, labels=LABELS)
    return tmp_path


def command(files):
    return files / "c.json", "--model", files / "n.safetensors", "--data", files / "s.npz"


@pytest.mark.parametrize("block", ["torch", "safetensors"])
def test_the_program_needs_no_torch(files, block):
    done = run_program(*command(files), block=block)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    assert "verified: 4 samples, 2 with radius > 0, claim class, norm l2" in done.stdout
    assert done.stderr == ""


def test_the_program_says_one_sentence(files):
    text = (files / "c.json").read_text()
    for old, new, expected in [
        ('"label": [0', '"label": [1', "checksum"),
        ('"norm": "l2"', '"norm": "l2", "norm": "l2"', "key twice"),
        ("0.0]", "NaN]", "constant NaN"),
        (text, text[:-1], "not JSON"),
        (text, "[" * 100000, "not JSON"),
        (text, "\0\xff", "not JSON"),
    ]:
        assert old in text
        (files / "c.json").write_text(text.replace(old, new, 1))
        done = run_program(*command(files))
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.count("\n") == 1
        assert expected in done.stdout


def test_a_file_that_is_missing(files):
    for name in ("c.json", "n.safetensors", "s.npz"):
        moved = (files / name).read_bytes()
        (files / name).unlink()
        done = run_program(*command(files))
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 1)
        (files / name).write_bytes(b"PK\x03\x04nothing")
        done = run_program(*command(files))
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 1)
        (files / name).write_bytes(moved)


def test_the_network_file_is_read_as_safetensors_reads_it(tmp_path):
    from safetensors.numpy import load_file, save_file

    rng = np.random.default_rng(0)
    tensors = {"1.weight": rng.standard_normal((2, 2)).astype(np.float16), "1.bias": rng.standard_normal(2)}
    save_file(tensors, tmp_path / "n.safetensors", metadata=META)
    network = read_network(tmp_path / "n.safetensors")
    for key, value in load_file(tmp_path / "n.safetensors").items():
        assert np.array_equal(network.tensors[key], value)
    assert network.dtypes == {"1.weight": "F16", "1.bias": "F64"}


def test_bfloat16_is_the_upper_half_of_float32():
    import torch

    from taut.verifier.files import as_float64

    values = torch.randn(50, generator=torch.Generator().manual_seed(0)).bfloat16()
    network = Network({}, {"a": values.view(torch.int16).numpy().view(np.uint16)}, {"a": "BF16"})
    assert np.array_equal(as_float64(network)["a"], values.double().numpy())


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"1.weight": ENTRY}, None),
        (HEADER | {"__metadata__": None}, None),
        (HEADER | {"__metadata__": META | {"format": "x"}}, None),
        (HEADER | {"__metadata__": META | {"format_version": "2"}}, None),
        (HEADER | {"__metadata__": {**META, "program": 3}}, None),
        (HEADER | {"__metadata__": {**META, "program": "{"}}, None),
        (HEADER | {"__metadata__": {**META, "program": '{"nodes": [], "nodes": []}'}}, None),
        (HEADER | {"1.weight": ENTRY | {"data_offsets": [0, 17]}}, None),
        (HEADER | {"1.weight": ENTRY | {"data_offsets": [16, 32]}}, None),
        (HEADER | {"1.weight": ENTRY | {"data_offsets": [-16, 0]}}, None),
        (HEADER | {"1.weight": ENTRY | {"data_offsets": [0]}}, None),
        (HEADER | {"1.weight": ENTRY | {"shape": [2, 3]}}, None),
        (HEADER | {"1.weight": ENTRY | {"shape": [2, True]}}, None),
        (HEADER | {"1.weight": ENTRY | {"shape": [-2, -2]}}, None),
        (HEADER | {"1.weight": ENTRY | {"dtype": "I64"}}, None),
        (HEADER | {"1.weight": ENTRY | {"dtype": None}}, None),
        (HEADER | {"1.weight": []}, None),
        (HEADER, WEIGHT.tobytes() + b"\0"),
        (HEADER | {"2.weight": ENTRY}, None),
        (b"{", None),
        (b"\xff\xfe", None),
        (b"[]", None),
        (json.dumps(HEADER).replace('"1.weight":', '"1.weight": 0, "1.weight":').encode(), None),
    ],
)
def test_malformed_network_files(tmp_path, header, data):
    with pytest.raises(VerificationError):
        read_network(write_network(tmp_path / "n.safetensors", header, data))


@pytest.mark.parametrize("raw", [b"", b"\0" * 7, b"\xff" * 8, struct.pack("<Q", 100) + b"{}"])
def test_short_network_files(tmp_path, raw):
    (tmp_path / "n").write_bytes(raw)
    with pytest.raises(VerificationError):
        read_network(tmp_path / "n")


def test_the_verifier_leaves_its_arguments_alone():
    certificate, before = honest(), copy.deepcopy(honest())
    verify(certificate, NETWORK, INPUTS, LABELS)
    assert certificate == before


def test_float32_arithmetic_needs_float32_weights():
    numbers = {"operand": 0.0, "accumulate": 2.0**-24, "result": 2.0**-24, "tiny": 2.0**-62, "largest": 2.0**100}
    network, certificate = with_nodes(
        NODES, {"1.weight": WEIGHT.astype(np.float64) * (1 + 2.0**-40)}, {"1.weight": "F64"}
    )
    certificate["arithmetic"] = {"name": "float32", "statement": ""} | numbers
    refuse(seal(certificate), "numbers that are not float32's", network)


@pytest.mark.parametrize(
    ("nodes", "tensors", "expected"),
    [
        ([NODES[0], HEAD | {"inputs": [1]}], None, "inputs are"),
        ([NODES[0], HEAD | {"inputs": [-1]}], None, "inputs are"),
        (NODES, {"1.weight": np.full_like(WEIGHT, math.inf)}, "no finite number"),
        (NODES, {"1.weight": WEIGHT, "1.more": WEIGHT}, "no node uses"),
        ([NODES[0], HEAD | {"groups": 1}], None, "unknown setting, 'groups'"),
        ([NODES[0], HEAD | {"op": "dense"}], None, "unknown operation, 'dense'"),
    ],
)
def test_what_is_malformed_is_named(nodes, tensors, expected):
    network, certificate = with_nodes(nodes, tensors)
    refuse(certificate, expected, network)

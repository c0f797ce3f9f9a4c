"""A certificate against a network and its samples: what it states is proven again, or the first difference is named."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from taut.verifier.arithmetic import FLOAT64, Arithmetic, Array
from taut.verifier.claims import Claim, Proof, find_head, prove
from taut.verifier.constants import proves
from taut.verifier.errors import VerificationError, need
from taut.verifier.files import Network, as_float64, canonical, data_hash, network_hash
from taut.verifier.program import LARGEST_SAMPLE, SEVERAL, Node, is_number, read_program
from taut.verifier.recursion import analyse, follow_paths, infer_shapes, path_product
from taut.verifier.table import FORMATS

SAMPLES = ("label", "prediction", "margin", "radius")
STATED = ("format", "format_version", "claim", "k", "threshold", "norm", "arithmetic", "lipschitz_bound", "layers")
FIELDS = (*STATED, "model_hash", "data_hash", "versions", *SAMPLES, "sha256")
# The least that roundings cost, and the largest number that is certified, by the arithmetic's name.
KNOWN = {
    "real": Arithmetic("real", 0.0, 0.0, 0.0, 0.0, FLOAT64.largest),
    "float64": FLOAT64,
    "float32-accumulate64": Arithmetic("float32-accumulate64", 0.0, 2.0**-53, 2.0**-24, 2.0**-62, 2.0**100),
    "float32": Arithmetic("float32", 0.0, 2.0**-24, 2.0**-24, 2.0**-62, 2.0**100),
    "tf32": Arithmetic("tf32", 2.0**-10, 2.0**-23, 2.0**-24, 2.0**-62, 2.0**100),
    "bfloat16": Arithmetic("bfloat16", 2.0**-8, 2.0**-23, 2.0**-8, 2.0**-62, 2.0**100),
}


def verify(
    certificate: Any, network: Network, inputs: Array, labels: Array, *, progress: Callable[[str], None] | None = None
) -> None:
    """Nothing if all that the certificate states is proven, else `VerificationError` naming the first difference.

    `certificate` is the parsed JSON; `inputs` (float32 or float64) has the batch first, `labels` int64 one entry each.
    """
    try:
        with np.errstate(all="ignore"):
            _verify(certificate, network, inputs, labels, progress or (lambda text: None))
    except VerificationError:
        raise
    # Whatever does not fit together in a way that no check above names ends here, and is not accepted.
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, MemoryError, RecursionError) as error:
        text = " ".join(str(error).split())
        raise VerificationError(
            f"the network or the certificate is malformed: {text or type(error).__name__}"
        ) from error


def _verify(c: Any, network: Network, inputs: Array, labels: Array, progress: Callable[[str], None]) -> None:
    claim, arithmetic = _read(c)
    _check_samples(inputs, labels)
    values = as_float64(network)
    need(c["model_hash"] == network_hash(network), "the model is not that of the certificate: its hash differs")
    need(c["data_hash"] == data_hash(inputs), "the inputs are not those of the certificate: their hash differs")
    for key in SAMPLES:
        need(
            len(c[key]) == len(labels), f"the certificate has {len(c[key])} entries of {key} for {len(labels)} samples"
        )
    wrong = next((i for i, (a, b) in enumerate(zip(c["label"], labels.tolist(), strict=True)) if a != b), None)
    need(wrong is None, f"the label of sample {wrong} is not the one that the certificate states")
    nodes = read_program(network.program, values, FORMATS)
    if arithmetic.name not in ("real", "float64"):
        for node in nodes:
            _check_settings(node, arithmetic)
    if arithmetic.name not in ("real", "float64", "float32-accumulate64"):
        solved = next((node for node in nodes if node.op == "fourier"), None)
        need(solved is None, f"{solved} is certified in float64 only, and arithmetic is {arithmetic.name}")
    if arithmetic.name.startswith("float32"):  # where operands lose nothing, they have to be float32 numbers
        for node in nodes:
            _check_float32(node, arithmetic)
    need(tuple(nodes[0]["shape"]) == inputs.shape[1:], f"samples of shape {inputs.shape[1:]} for {nodes[0]['shape']}")
    infer_shapes(nodes, inputs.shape[1:])
    outputs = math.prod(nodes[-1].shape)
    need(len(nodes[-1].shape) <= 1 or outputs == 1, f"the network's output has the shape {nodes[-1].shape}")
    _check_claim(claim, outputs, labels)
    for node in nodes:
        node.kept["norm"] = claim.norm
    bounds = _check_layers(c["layers"], nodes, claim.norm, progress)
    paths = follow_paths(nodes, bounds)
    proven = path_product(paths[-1])
    need(
        c["lipschitz_bound"] == proven,
        f"lipschitz_bound is {c['lipschitz_bound']!r}, but the layers' constants give {proven!r}",
    )
    products = [path_product(path) for path in paths]
    head = find_head(nodes)
    keep = {len(nodes) - 1, *(i for node in head[:1] for i in (node.index, *node.inputs))}
    step = int(min(256, max(1, 2**22 // max(math.prod(node.shape) for node in nodes))))
    for start in range(0, len(labels), step):
        progress(f"sample {start} of {len(labels)}")
        part = slice(start, start + step)
        batch = inputs[part].astype(np.float64)
        states, extent = analyse(nodes, bounds, products, batch, arithmetic, claim.norm, keep)
        proof = prove(claim, head, states, len(nodes) - 1, labels[part], arithmetic)
        finite = np.all(np.isfinite(batch.reshape(len(batch), -1)), axis=1) & np.all(np.isfinite(proof.output), axis=1)
        usable = finite & (extent.height <= arithmetic.largest)
        most = arithmetic.largest / max(1.0, extent.slope) * (1 - 2.0**-48)
        for row in range(len(batch)):
            _check_sample(c, start + row, claim, proof, row, bool(finite[row]), bool(usable[row]), most)


def _number(value: object, *, texts: tuple[str, ...] = ()) -> bool:
    return is_number(value) or (isinstance(value, str) and value in texts)


def _read(c: Any) -> tuple[Claim, Arithmetic]:
    """The claim and the arithmetic of a certificate whose fields have the right types and whose checksum fits."""
    need(isinstance(c, dict), "the certificate is no JSON object")
    for key in FIELDS:
        need(key in c, f"the certificate lacks {key!r}")
    for key in c:
        need(key in FIELDS, f"the certificate has an unknown field, {key!r:.60}")
    need(c["format"] == "taut certificate", f"the certificate's format is {c['format']!r:.60}, not 'taut certificate'")
    version = c["format_version"]
    need(type(version) is int and version == 2, f"the certificate's format_version is {version!r:.60}, not 2")
    checksum = hashlib.sha256(canonical({k: v for k, v in c.items() if k != "sha256"})).hexdigest()
    need(c["sha256"] == checksum, "the certificate is damaged: its checksum differs")
    need(c["claim"] in ("class", "top_k", "sign"), f"the claim is {c['claim']!r:.60}, not class, top_k or sign")
    need(c["norm"] in ("l2", "linf"), f"the norm is {c['norm']!r:.60}, not l2 or linf")
    need(type(c["k"]) is int and c["k"] >= 1 and (c["claim"] == "top_k" or c["k"] == 1), f"k is {c['k']!r:.60}")
    good = is_number(c["threshold"]) and (c["claim"] == "sign" or c["threshold"] == 0)
    need(good, f"the threshold is {c['threshold']!r:.60}")
    need(is_number(c["lipschitz_bound"]) and c["lipschitz_bound"] >= 0, "lipschitz_bound is no number of at least 0")
    need(isinstance(c["layers"], list), "layers is no list")
    texts = isinstance(c["versions"], dict) and all(isinstance(v, str) for v in c["versions"].values())
    need(texts, "versions is no object of texts")
    for key in SAMPLES:
        need(isinstance(c[key], list), f"{key} is no list")
        for i, value in enumerate(c[key]):
            good = type(value) is int
            if key in ("margin", "radius"):
                good = _number(value, texts=("inf", "nan", "-inf") if key == "margin" else ("inf",))
            need(good, f"the {key} of sample {i} is {value!r:.60}")
            need(key != "radius" or float(value) >= 0, f"the radius of sample {i} is negative, {value!r}")
    return Claim(c["claim"], c["k"], float(c["threshold"]), c["norm"]), _read_arithmetic(c["arithmetic"])


def _read_arithmetic(entry: Any) -> Arithmetic:
    names = ("operand", "accumulate", "result", "tiny", "largest")
    need(isinstance(entry, dict) and set(entry) == {"name", "statement", *names}, "arithmetic has other fields")
    need(isinstance(entry["name"], str) and isinstance(entry["statement"], str), "arithmetic has no name or statement")
    for key in names:
        need(is_number(entry[key]) and entry[key] >= 0, f"arithmetic's {key} is {entry[key]!r:.60}")
    found = Arithmetic(entry["name"], *(float(entry[key]) for key in names))
    need(found.name in KNOWN, f"arithmetic {found.name!r:.60} is none of {', '.join(KNOWN)}")
    least = KNOWN[found.name]
    enough = all(getattr(found, key) >= getattr(least, key) for key in names[:-1]) and found.largest <= least.largest
    need(enough, f"arithmetic {found.name!r} rounds more, or overflows earlier, than the certificate states")
    return found


def _check_settings(node: Node, arithmetic: Arithmetic) -> None:
    """Numbers beside the tensors have to be far within the range of float32."""
    for key, value in node.settings.items():
        far = isinstance(value, float) and math.isfinite(value) and value != 0 and not 2.0**-60 <= abs(value) <= 2.0**60
        need(not far, f"{key} of {node} is {value!r}, beyond what {arithmetic.name} is certified for")


def _check_float32(node: Node, arithmetic: Arithmetic) -> None:
    """One constant for each entry may be rounded: that is within the rounding of the result."""
    whole = node.op in ("shift", "multiply")
    odd = next((k for k, v in node.tensors.items() if not whole and (v.astype(np.float32) != v).any()), None)
    need(odd is None, f"{odd} of {node} has numbers that are not float32's, and arithmetic is {arithmetic.name}")


def _check_samples(inputs: Array, labels: Array) -> None:
    good = isinstance(inputs, np.ndarray) and inputs.dtype in (np.dtype("f4"), np.dtype("f8")) and inputs.ndim >= 1
    need(good, "the inputs are no array of float32 or float64")
    need(isinstance(labels, np.ndarray) and labels.dtype == np.dtype("i8"), "the labels are no array of int64")
    need(labels.shape == inputs.shape[:1], f"{labels.shape} labels for inputs of shape {inputs.shape}")
    need(0 < math.prod(inputs.shape[1:]) <= LARGEST_SAMPLE, f"samples of shape {inputs.shape[1:]}")


def _check_claim(claim: Claim, outputs: int, labels: Array) -> None:
    if claim.kind == "sign":
        need(outputs == 1, f"the claim sign is about one output, and the network has {outputs}")
    else:
        need(claim.k < outputs, f"k = {claim.k} for {outputs} outputs")
    top = 2 if claim.kind == "sign" else outputs
    need(((labels >= 0) & (labels < top)).all(), f"a label is not within 0 to {top - 1}")


def _check_layers(layers: list[Any], nodes: list[Node], norm: str, progress: Callable[[str], None]) -> list[Any]:
    """The stated constants by node, each proven."""
    need(len(layers) == len(nodes) - 1, f"the certificate has {len(layers)} layers for {len(nodes) - 1} operations")
    bounds: list[float | None] = [None]
    for node, layer in zip(nodes[1:], layers, strict=True):
        fields = {"node", "name", "op", "bound", "method"}
        need(
            isinstance(layer, dict) and set(layer) == fields,
            f"the layer of {node} has other fields than {sorted(fields)}",
        )
        same = type(layer["node"]) is int and (layer["node"], layer["op"], layer["name"]) == (
            node.index,
            node.op,
            node.name,
        )
        need(same and isinstance(layer["method"], str), f"the certificate's layer for {node} is another one")
        bound = layer["bound"]
        if node.op in SEVERAL:
            need(bound is None, f"{node} has several inputs, and a bound")
        else:
            need(is_number(bound) and bound >= 0, f"the bound of {node} is {bound!r:.60}")
            progress(f"constant of {node}")
            need(proves(node, float(bound), norm), f"the bound {bound!r} of {node} is not the constant, or not proven")
        bounds.append(None if bound is None else float(bound))
    return bounds


def _check_sample(
    c: Any, i: int, claim: Claim, proof: Proof, row: int, finite: bool, usable: bool, most: float
) -> None:
    """Prediction, margin and radius of sample i."""
    prediction, margin, radius = c["prediction"][i], float(c["margin"][i]), float(c["radius"][i])
    output, tolerance = proof.output[row], float(proof.tolerance[row])
    if not finite:
        nothing = prediction == -1 and math.isnan(margin) and radius == 0
        need(nothing, f"sample {i} is not finite, which the prediction -1, the margin nan and the radius 0 must say")
        return
    if claim.kind == "sign":
        far = (claim.threshold - output[0]) if prediction == 1 else (output[0] - claim.threshold)
        known = prediction in (0, 1)
    else:
        known = 0 <= prediction < len(output)
        far = output.max() - output[prediction] if known else 0.0
    need(known, f"the prediction of sample {i} is {prediction}")
    if not usable:
        need(radius == 0, f"the radius of sample {i} is {radius!r}, but its numbers are not finite or too large")
    need(not far > 2 * tolerance, f"the prediction of sample {i} is {prediction}, which the network does not predict")
    near = abs(margin - proof.margin[row]) <= tolerance
    need(near, f"the margin of sample {i} is {margin!r}, not {float(proof.margin[row])!r}")
    if not usable:
        return
    highest = min(float(proof.highest[row]), most)
    need(radius == 0 or radius <= highest, f"the radius of sample {i} is {radius!r}, above {max(highest, 0.0)!r}")
    lowest = min(float(proof.lowest[row]), most * (1 - 2.0**-24), 2.0**100)  # beyond, underflow is all that is left
    need(not radius < lowest, f"the radius of sample {i} is {radius!r}, below {lowest!r}")
    other = radius > 0 and claim.kind != "top_k" and prediction != c["label"][i]
    need(not other, f"sample {i} is misclassified, and has the radius {radius!r}")

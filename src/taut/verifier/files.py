"""Reading what is verified: strict JSON, the network file parsed by hand, the samples; and their hashes."""

import hashlib
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from taut.verifier.arithmetic import Array
from taut.verifier.errors import VerificationError, need

# How each type of the network file is held here; BF16, which numpy lacks, as the bits of its upper half of a float32.
TYPES = {"F16": np.dtype("<f2"), "BF16": np.dtype("<u2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


@dataclass(frozen=True)
class Network:
    """A program (parsed JSON), its tensors by their names in the file, and their types as safetensors writes them.

    A tensor of type BF16 is an array of uint16, its bits.
    """

    program: Any
    tensors: dict[str, Array]
    dtypes: dict[str, str]


def canonical(value: object) -> bytes:
    """The JSON bytes that are hashed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def parse_json(text: bytes | str, what: str) -> Any:
    """JSON without NaN, without infinities and without a key twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        need(len(found) == len(pairs), f"{what} has a key twice in one object")
        return found

    def refuse(constant: str) -> NoReturn:
        raise VerificationError(f"{what} has the constant {constant}, which is not JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except VerificationError:
        raise
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"{what} is not JSON: {error}") from error


def read_bytes(path: str | Path, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise VerificationError(f"{what} {str(path)!r} cannot be read: {error}") from error


def read_network(path: str | Path) -> Network:
    """The network of a safetensors file: 8 bytes of the header's length, the header's JSON, the tensors' bytes."""
    raw = read_bytes(path, "the network file")
    length = int.from_bytes(raw[:8], "little")
    need(len(raw) >= 8 and length <= len(raw) - 8, "the network file is no safetensors file, or was cut off")
    header, data = parse_json(raw[8 : 8 + length], "the network file's header"), raw[8 + length :]
    good = isinstance(header, dict) and isinstance(header.get("__metadata__"), dict)
    need(good, "the network file's header has no metadata")
    metadata = header.pop("__metadata__")
    kind = (metadata.get("format"), metadata.get("format_version"))
    need(kind == ("taut network", "1"), f"the network file has format and version {kind}, not 'taut network' and '1'")
    need(type(metadata.get("program")) is str, "the network file has no program")
    tensors, dtypes, spans = {}, {}, []
    for name, entry in header.items():
        good = isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}
        good = good and isinstance(entry["dtype"], str) and all(map(_sizes, (entry["shape"], entry["data_offsets"])))
        need(good and len(entry["data_offsets"]) == 2, f"the network file's entry of tensor {name!r} is malformed")
        need(entry["dtype"] in TYPES, f"tensor {name!r} has type {entry['dtype']!r:.60}, not one of {', '.join(TYPES)}")
        kind, (start, end) = TYPES[entry["dtype"]], entry["data_offsets"]
        fits = 0 <= start <= end <= len(data) and end - start == math.prod(entry["shape"]) * kind.itemsize
        need(fits, f"tensor {name!r} does not have the bytes of its shape within the network file")
        need(len(entry["shape"]) <= 8 and math.prod(max(n, 1) for n in entry["shape"]) < 2**48, f"shape of {name!r}")
        tensors[name] = np.frombuffer(data[start:end], dtype=kind).reshape(entry["shape"])
        dtypes[name] = entry["dtype"]
        spans.append((start, end))
    edges = [0, *(edge for span in sorted(spans) for edge in span), len(data)]
    need(edges[::2] == edges[1::2], "the tensors of the network file overlap, or leave bytes between them")
    return Network(parse_json(metadata["program"], "the program"), tensors, dtypes)


def _sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**48 for v in value)


def as_float64(network: Network) -> dict[str, Array]:
    """The tensors' values, exactly."""
    need(set(network.tensors) == set(network.dtypes), "the network's tensors and types have different names")
    values = {}
    for name, tensor in network.tensors.items():
        kind = TYPES.get(network.dtypes[name])
        need(kind is not None and isinstance(tensor, np.ndarray), f"tensor {name!r} has type {network.dtypes[name]!r}")
        need(tensor.dtype == kind, f"tensor {name!r} is held as {tensor.dtype}, which is not {network.dtypes[name]}")
        if network.dtypes[name] == "BF16":
            tensor = (tensor.astype("<u4") << np.uint32(16)).view("<f4")
        values[name] = tensor.astype(np.float64)
    return values


def network_hash(network: Network) -> str:
    """SHA-256 of the program and of every tensor's name, type, shape and bytes, in the order of their names."""
    total = hashlib.sha256(canonical(network.program))
    for name in sorted(network.tensors):
        tensor = network.tensors[name]
        total.update(f"{name} {network.dtypes[name]} {','.join(map(str, tensor.shape))}\n".encode())
        total.update(np.ascontiguousarray(tensor).tobytes())
    return total.hexdigest()


def data_hash(inputs: Array) -> str:
    """SHA-256 of the inputs' type, shape and bytes."""
    kind = {4: "F32", 8: "F64"}[inputs.dtype.itemsize]
    total = hashlib.sha256(f"{kind} {','.join(map(str, inputs.shape))}\n".encode())
    total.update(np.ascontiguousarray(inputs, dtype=inputs.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()


def read_samples(path: str | Path) -> tuple[Array, Array]:
    """The arrays `inputs` and `labels` of an npz file."""
    need(zipfile.is_zipfile(path), f"the samples {str(path)!r} are no npz file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            need(set(archive.files) == {"inputs", "labels"}, f"the samples have {archive.files}, not inputs and labels")
            return archive["inputs"], archive["labels"]
    except VerificationError:
        raise
    except Exception as error:  # damaged archives fail in zipfile, zlib, numpy's header and tokenize
        raise VerificationError(f"the samples {str(path)!r} cannot be read: {' '.join(str(error).split())}") from error

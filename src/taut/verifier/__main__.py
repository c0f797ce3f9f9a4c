"""`python -m taut.verifier certificate.json --model network.safetensors --data samples.npz`."""

import argparse
import sys

from taut.verifier import VerificationError, read_network, read_samples, verify
from taut.verifier.files import parse_json, read_bytes


def show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def summary(certificate: dict) -> str:
    """What a verified certificate says, in one line."""
    arithmetic, radii = certificate["arithmetic"], [float(r) for r in certificate["radius"]]
    numbers = ", ".join(f"{k} {arithmetic[k]:g}" for k in ("operand", "accumulate", "result", "tiny", "largest"))
    claim = certificate["claim"]
    claim += {"top_k": f" (k = {certificate['k']})", "sign": f" (threshold {certificate['threshold']!r})"}.get(
        claim, ""
    )
    return (
        f"{len(radii)} samples, {sum(r > 0 for r in radii)} with radius > 0, claim {claim}, norm "
        f"{certificate['norm']}, Lipschitz constant {certificate['lipschitz_bound']!r}, arithmetic "
        f"{arithmetic['name']} ({numbers})"
    )


def main(arguments: list[str] | None = None) -> int:
    """0 if every statement of the certificate is proven, 1 with a sentence otherwise."""
    parser = argparse.ArgumentParser(prog="taut.verifier", description="Prove a certificate again, without torch.")
    parser.add_argument("certificate", help="certificate.json")
    parser.add_argument("--model", required=True, help="network.safetensors, the network as a list of operations")
    parser.add_argument("--data", required=True, help="samples.npz with the arrays inputs and labels")
    options = parser.parse_args(arguments)
    try:
        certificate = parse_json(read_bytes(options.certificate, "the certificate"), "the certificate")
        verify(certificate, read_network(options.model), *read_samples(options.data), progress=show_progress)
    except VerificationError as error:
        show_progress("")
        print(" ".join(str(error).split()))
        return 1
    show_progress("")
    print(f"verified: {summary(certificate)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

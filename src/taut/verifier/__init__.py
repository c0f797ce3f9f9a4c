"""A second implementation of the proof of a certificate, in numpy alone: nothing of the rest of taut is used.

`docs/file_formats.md` says what is read and what is proven. Read on in this order: `arithmetic`, `norms`, `kernels`
(bounds of matrices and convolutions), `program`, `operations`, `windows`, `fourier`, `table` (the operations),
`blocks`, `constants` (which constants are proven), `recursion` (errors), `claims` (radii), `files`, `certificate`.
"""

from taut.verifier.certificate import verify
from taut.verifier.errors import VerificationError
from taut.verifier.files import Network, read_network, read_samples

__all__ = ["Network", "VerificationError", "read_network", "read_samples", "verify"]

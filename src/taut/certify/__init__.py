"""Proofs in floating point: norms of weights, Lipschitz bounds of networks, certified radii and their certificates."""

from taut.certify.breakdown import Breakdown
from taut.certify.certificates.certificate import Certificate, CertificateError, LayerConstant
from taut.certify.certificates.samples_file import save_samples
from taut.certify.certificates.verify import verify
from taut.certify.estimates.curvature import curvature_estimate
from taut.certify.estimates.distances import first_order_distance_estimate, second_order_distance_estimate
from taut.certify.estimates.estimate import Estimate, estimate
from taut.certify.estimates.jacobian import jacobian_norm_estimate
from taut.certify.lowering.graph import lower
from taut.certify.network.audit import Audit, AuditRow, audit
from taut.certify.network.network import breakdown, lipschitz_bound
from taut.certify.norms.convolution import conv_norm_bound
from taut.certify.norms.spectral import linf_norm_bound, smallest_singular_value_bound, spectral_norm_bound
from taut.certify.program.encoding import save_program
from taut.certify.program.program import Program
from taut.certify.samples.forward import Evaluation, evaluate
from taut.certify.samples.interval import interval_bound
from taut.certify.samples.regression import OutputInterval, output_interval
from taut.certify.samples.robustness import robustness

__all__ = [
    "Audit",
    "AuditRow",
    "Breakdown",
    "Certificate",
    "CertificateError",
    "Estimate",
    "Evaluation",
    "LayerConstant",
    "OutputInterval",
    "Program",
    "audit",
    "breakdown",
    "conv_norm_bound",
    "curvature_estimate",
    "estimate",
    "evaluate",
    "first_order_distance_estimate",
    "interval_bound",
    "jacobian_norm_estimate",
    "linf_norm_bound",
    "lipschitz_bound",
    "lower",
    "output_interval",
    "robustness",
    "save_program",
    "save_samples",
    "second_order_distance_estimate",
    "smallest_singular_value_bound",
    "spectral_norm_bound",
    "verify",
]

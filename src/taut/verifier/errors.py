"""The one way in which a certificate fails: a sentence."""


class VerificationError(ValueError):
    """What the certificate states is not proven, or is no certificate: one sentence that names what differs."""


def need(condition: object, message: str) -> None:
    """Nothing if `condition` holds, else `VerificationError(message)`."""
    if not condition:
        raise VerificationError(message)

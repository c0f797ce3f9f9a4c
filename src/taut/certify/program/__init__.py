"""A network as a list of plain operations, each with its constant and its rounding error: what certificates are about.

docs/file_formats.md specifies the operations; `taut.verifier` has them a second time, without torch.
"""

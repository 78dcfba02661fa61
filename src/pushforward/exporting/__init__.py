"""Exported flows: methods as graphs that other programs run, in ONNX or as programs of torch.export."""

from pushforward.exporting.api import export
from pushforward.exporting.signature import Port, Signature

__all__ = ["Port", "Signature", "export"]

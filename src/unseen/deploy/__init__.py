"""Embeddings outside of Python: exported graphs."""

from unseen.deploy.onnx import EXPORTERS, Export, to_onnx

__all__ = ["EXPORTERS", "Export", "to_onnx"]

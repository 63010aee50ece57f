"""The nginx layer: a configuration is read and compiled once, then asked what it answers."""

from __future__ import annotations

from auditor.nginx.evaluate import Configuration, load

__all__ = ["Configuration", "load"]

"""The nginx layer: a configuration is read and compiled once, then asked what it answers."""

from __future__ import annotations

from auditor.nginx.evaluate import Configuration, load
from auditor.nginx.matchers import matchers
from auditor.nginx.subjects import Matcher

__all__ = ["Configuration", "Matcher", "load", "matchers"]

"""The application layer: FastAPI and Starlette from source, an importable application asked in process, or any backend."""

from __future__ import annotations

from auditor.backend.anything import AnyBackend
from auditor.backend.application import Application, Gzip, HttpsRedirect, OtherMiddleware, SetHeaders, TrustedHost
from auditor.backend.cors import CLASSIC, NEWEST, Cors, Generation
from auditor.backend.routes import Route
from auditor.backend.source import load

__all__ = [
    "CLASSIC",
    "NEWEST",
    "AnyBackend",
    "Application",
    "Cors",
    "Generation",
    "Gzip",
    "HttpsRedirect",
    "OtherMiddleware",
    "Route",
    "SetHeaders",
    "TrustedHost",
    "load",
]

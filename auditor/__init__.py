"""Policy-as-code for the edge of a web stack: proof from the configuration, then the same on the running stack."""

__version__ = "0.1.0"

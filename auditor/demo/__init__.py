"""The reference stack of the seed on loopback, in two states, and its launcher."""

from auditor.demo.files import State, write
from auditor.demo.launch import Running, running

__all__ = ["Running", "State", "running", "write"]

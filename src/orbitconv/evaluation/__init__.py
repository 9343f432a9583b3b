"""Errors of trained networks."""

from orbitconv.evaluation.tested import evaluate as evaluate

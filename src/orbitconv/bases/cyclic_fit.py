"""The best real orthogonal map M with M^N = 1 whose quarter turn is the exact one.

Written in its eigenvectors, `M = sum over j of exp(2 pi i k_j / N) v_j v_j^H`, the fit to images is
`sum over j of v_j^H T[k_j] v_j` with the Fourier transform `T[k]` of the cross moments. Every `v_j` lies in the
eigenspace of the exact turn that fits `k_j`. Two steps, neither of which lowers the fit, alternate until it
stands still:

- two frequencies k, l share the space they hold in closed form: the positive and negative eigenspaces of `T[k] - T[l]`;
- all vectors move at once to the unitary matrix nearest to the vectors `T[k_j] v_j` (T shifted to be positive).

M is real where conjugation takes the space of frequency k to that of -k. So vectors come as *pairs* (a vector and
its conjugate, frequencies k and -k) and, for the frequencies 0 and N/2, as *lines* (real up to a phase). Mirrors add
one condition, `mirror(conj(v)) = v`, which both steps keep when the start has it.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from orbitconv.bases.second_moments import SymmetricMoments

Vectors = Complex[np.ndarray, "p _"]


class Split(NamedTuple):
    """A split of the pixel space by frequency, and the value of the fit.

    Each frequency has orthonormal columns that carry it; those of -k are the conjugates of those of k.
    """

    spaces: dict[int, Vectors]
    fit: float

    @property
    def dimension(self) -> int:
        """Dimension of the space that is split; below the number of pixels if directions had to be dropped."""
        return sum(v.shape[1] for v in self.spaces.values())

    def power(self, g: int, num_rotations: int) -> Float[np.ndarray, "p p"]:
        """M^g, a real matrix on flattened filters; zero on directions that were dropped."""
        vectors = np.concatenate(list(self.spaces.values()), axis=1)
        frequencies = np.repeat(list(self.spaces), [v.shape[1] for v in self.spaces.values()])
        return np.real((vectors * np.exp(2j * np.pi * frequencies * g / num_rotations)) @ vectors.conj().T)


def fit_cyclic_unitary(moments: SymmetricMoments, restarts: int = 4) -> Split:
    """Fit eigenvectors and frequencies of M to cross moments.

    M fits their exact turn and mirror: `mirror M mirror = M^-1`.

    Of several starts the best split is returned. Its dimension falls short of the number of pixels if some real
    direction can be no half of a pair and carry neither frequency 0 nor N/2.
    """
    n, turn_order = len(moments.cross), moments.turn_order
    fourier = moments.fourier
    fourier = fourier - min(float(np.linalg.eigvalsh(fourier).min()), 0.0) * np.eye(len(moments.turn))
    rng = np.random.default_rng(0)
    splits = []
    for trial in range(restarts + 1 if n > 2 * turn_order else 1):
        spaces = _start(moments, rng if trial else None)
        splits.append(_ascend(fourier, spaces, moments))
    return max(splits, key=lambda split: (split.dimension, split.fit))


def _ascend(fourier: np.ndarray, spaces: dict[int, Vectors], moments: SymmetricMoments) -> Split:
    """Alternate the two steps until the fit stands still."""
    fit = previous = -np.inf
    for _ in range(500):
        _share_pairwise(fourier, spaces, moments.turn_order, mirrored=moments.mirror is not None)
        fit = _move_together(fourier, spaces, moments)
        if fit <= previous + 1e-10 * abs(fit):
            break
        previous = fit
    return Split(spaces, fit)


def _share_pairwise(fourier: np.ndarray, spaces: dict[int, Vectors], turn_order: int, *, mirrored: bool) -> None:
    """Let every two frequencies share the space they hold in the best way."""
    n = len(fourier)
    for k, m in itertools.combinations(range(n), 2):
        if (k - m) % turn_order or _is_line(k, n) != _is_line(m, n):
            continue
        both = np.concatenate([spaces[k], spaces[m]], axis=1)
        difference = both.conj().T @ (fourier[k] - fourier[m]) @ both
        real_coordinates = mirrored or _is_line(k, n)
        values, mixing = np.linalg.eigh(np.real(difference) if real_coordinates else difference)
        keep = len(values) - spaces[k].shape[1] if (k + m) % n == 0 else int((values <= 0).sum())
        spaces[m], spaces[k] = np.split(both @ mixing, [keep], axis=1)
        for frequency in (k,) if (k + m) % n == 0 else (k, m):
            if not _is_line(frequency, n):
                spaces[-frequency % n] = spaces[frequency].conj()


def _move_together(fourier: np.ndarray, spaces: dict[int, Vectors], moments: SymmetricMoments) -> float:
    """Move all vectors to the nearest orthonormal ones along the gradient; returns the fit before the move."""
    n, mirror = len(fourier), moments.mirror
    widths = np.cumsum([spaces[k].shape[1] for k in spaces])[:-1]
    gradient = np.concatenate([fourier[k] @ v for k, v in spaces.items()], axis=1)
    fit = sum(np.vdot(v, fourier[k] @ v).real for k, v in spaces.items())
    left, _, right = np.linalg.svd(gradient, full_matrices=False)
    spaces.update(zip(list(spaces), np.split(left @ right, widths, axis=1), strict=True))
    # The move keeps turn, conjugation and mirror; saying so again keeps rounding from growing over many moves.
    for k in range(n // 2 + 1):
        spaces[k] = moments.project(k, spaces[k])
        if mirror is not None:
            spaces[k] = (spaces[k] + mirror @ spaces[k].conj()) / 2
        if _is_line(k, n):
            real, imaginary = np.real(spaces[k]), np.imag(spaces[k])
            spaces[k] = np.where(np.abs(real).max(0) >= np.abs(imaginary).max(0), real, 1j * imaginary)
        else:
            spaces[-k % n] = spaces[k].conj()
    return float(fit)


def _start(moments: SymmetricMoments, rng: np.random.Generator | None) -> dict[int, Vectors]:
    """Eigenvectors of the orthogonal map nearest to one step, each with the nearest (or a random) frequency."""
    n, turn_order, mirror = len(moments.cross), moments.turn_order, moments.mirror
    vectors, phases, classes = _step_eigenvectors(moments)
    real = (2 * classes % turn_order == 0) & (np.abs(np.sin(phases)) < 1e-6)
    found: dict[int, list[np.ndarray]] = {k: [] for k in range(n)}
    for own in range(turn_order // 2 + 1):  # the other eigenspaces are the conjugates of these
        allowed = [k for k in range(n) if k % turn_order == own % turn_order]
        lines = [k for k in allowed if _is_line(k, n)]
        pairs = [k for k in allowed if not _is_line(k, n)]
        here = classes == own
        singles = []
        for sign in (1, -1):
            for v in _real_basis(vectors[:, real & here & (np.cos(phases) * sign > 0)], mirror):
                if lines:
                    found[_choose(lines, 0.0 if sign > 0 else np.pi, n, rng)].append(v)
                else:
                    singles.append(v)
        own_conjugate = 2 * own % turn_order == 0  # then both of a conjugate pair are here: keep one
        halves = here & ~real & ((phases > 0) | (not own_conjugate))
        ones = [
            *zip(vectors.T[halves], phases[halves], strict=True),
            *((v, np.pi / 2) for v in _pair_up(singles, mirror)),
        ]
        for one, phase in ones:
            v = _fix_phase(one, mirror)
            k = _choose(allowed if rng is None else pairs or allowed, phase, n, rng)
            if _is_line(k, n):
                real_parts = np.sqrt(2) * np.real(v), np.sqrt(2) * np.imag(v)
                found[k] += [_fix_phase(part + 0j, mirror) for part in real_parts]
            else:
                found[k].append(v)
                found[-k % n].append(v.conj())
    pixels = len(moments.turn)
    return {k: np.stack(v, axis=1) if v else np.zeros((pixels, 0), complex) for k, v in found.items()}


def _step_eigenvectors(moments: SymmetricMoments) -> tuple[Vectors, np.ndarray, np.ndarray]:
    """Eigenvectors of the orthogonal map nearest to one step, their phases, and their eigenspaces of the exact turn."""
    turn, step = moments.turn, moments.cross[1 % len(moments.cross)]
    # Directions that no partner answers to may see nothing at all of the step: leave them where they are.
    left, _, right = np.linalg.svd(step + 1e-9 * np.linalg.norm(step) * np.eye(len(step)))
    unitary = left @ right
    parts = [part for m in (unitary, turn) for part in ((m + m.T) / 2, (m - m.T) / 2j)]
    joint = sum(w * part for w, part in zip((1.0, 0.61, 0.37, 0.23), parts, strict=True))
    vectors = np.linalg.eigh(joint)[1]
    phases = np.angle(np.einsum("pj,pq,qj->j", vectors.conj(), unitary, vectors))
    turned = np.angle(np.einsum("pj,pq,qj->j", vectors.conj(), turn, vectors))
    classes = np.rint(turned * moments.turn_order / (2 * np.pi)).astype(int) % moments.turn_order
    return vectors, phases, classes


def _real_basis(span: Vectors, mirror: np.ndarray | None) -> list[np.ndarray]:
    """Real vectors, even or odd under the mirror, that span a space closed under conjugation."""
    projector = np.real(span @ span.conj().T)
    if mirror is not None:
        projector = projector + 0.25 * projector @ mirror @ projector
    values, vectors = np.linalg.eigh(projector)
    return [_fix_phase(v + 0j, mirror) for v in vectors.T[values > 0.5]]


def _pair_up(singles: list[np.ndarray], mirror: np.ndarray | None) -> list[np.ndarray]:
    """Join real vectors two by two to vectors orthogonal to their conjugates; leaves out what finds no partner."""
    if mirror is None:
        return [(a + 1j * b) / np.sqrt(2) for a, b in zip(singles[::2], singles[1::2], strict=False)]
    even = [v for v in singles if np.abs(np.imag(v)).max() < 1e-9]
    odd = [v for v in singles if np.abs(np.imag(v)).max() >= 1e-9]
    return [(a + b) / np.sqrt(2) for a, b in zip(even, odd, strict=False)]


def _fix_phase(v: np.ndarray, mirror: np.ndarray | None) -> np.ndarray:
    """Turn the phase of a vector so that mirror and conjugation together leave it alone."""
    if mirror is None:
        return v
    return v * np.exp(0.5j * np.angle(np.vdot(v, mirror @ v.conj())))


def _choose(frequencies: list[int], phase: float, n: int, rng: np.random.Generator | None) -> int:
    """The frequency nearest to a phase, or a random one."""
    if rng is not None:
        return int(rng.choice(frequencies))
    return min(frequencies, key=lambda k: abs(np.exp(1j * phase) - np.exp(2j * np.pi * k / n)))


def _is_line(k: int, n: int) -> bool:
    """Whether a frequency is its own negative: 0 or N/2."""
    return 2 * k % n == 0

"""Numerics that every room uses: bounds of what a network emits, logarithms that do not cancel, sums over events."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.errors import DataError, ShapeError

NORMAL_QUANTILES = (0.5, 0.15865525, 0.84134475)
"""The median, and where a normal is one standard deviation below and above it."""

HALF = (torch.float16, torch.bfloat16)
"""The types of half precision."""


def bounded(raw: Tensor, limit: float) -> Tensor:
    """Squash smoothly into ``(-limit, limit)``: nearly the identity up to half the limit, and beyond it a gradient that
    fades only as ``1 / |raw|^3``, where a tanh's is soon zero.

    Where the square of ``raw / limit`` has no place in the type, beyond 1e19 in single precision, it is 0.

    Example:
        >>> bounded(torch.tensor([0.1, 100.0]), 5.0).round(decimals=2)
        tensor([0.1000, 4.9900])
    """
    if raw.dtype == torch.float16:
        # Half precision has no room for the square of what a network may emit.
        farthest = min(100.0 * limit, torch.finfo(raw.dtype).max)
        raw = raw.clamp(-farthest, farthest)
    # Nothing is clamped: in compiled code the masks of a clamp make each run of numbers wait for the one before.
    # A quotient: the backward pass of a product with the inverse root multiplies ``raw`` by the gradient that comes in,
    # which overflows where both are large.
    return raw / torch.sqrt(1.0 + (raw / limit).square())


def log1mexp(x: Tensor) -> Tensor:
    r"""``log(1 - exp(-x))`` for ``x > 0``, accurate for small and for large ``x`` (Maechler 2012).

    Example:
        >>> round(log1mexp(torch.tensor(1e-6)).item(), 4)
        -13.8155
    """
    threshold = math.log(2.0)
    small = torch.log(-torch.expm1(-x.clamp(max=threshold)))
    large = torch.log1p(-torch.exp(-x.clamp(min=threshold)))
    return torch.where(x < threshold, small, large)


def log_sigmoid_slope(z: Tensor) -> Tensor:
    """Return ``log sigmoid'(z) = -softplus(z) - softplus(-z)``.

    Example:
        >>> log_sigmoid_slope(torch.tensor(0.0)).exp().item()
        0.25
    """
    return -F.softplus(z) - F.softplus(-z)


def finite_square(x: Tensor) -> Tensor:
    """Return ``x^2``, which stays finite: far out, where a normal density is zero to any precision, it would overflow.

    Example:
        >>> bool(finite_square(torch.tensor(1e38)).isfinite())
        True
    """
    # A sum of a million squares stays finite too, where the type has room for one.
    wide = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    farthest = 100.0 if wide == torch.float16 else math.sqrt(torch.finfo(wide).max) * 1e-4
    return x.clamp(-farthest, farthest).square()


def unit(vectors: Tensor) -> Tensor:
    """Return vectors divided by their lengths, which may be too large or too small to be squared; 0 stays 0.

    Example:
        >>> unit(torch.tensor([0.0, 1e30]))
        tensor([0., 1.])
    """
    scaled = vectors / vectors.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)
    return scaled / torch.linalg.vector_norm(scaled, dim=-1, keepdim=True).clamp_min(0.5)


def length(vectors: Tensor) -> Tensor:
    """Return the lengths of vectors, which may be too large or too small to be squared.

    Example:
        >>> length(torch.tensor([3e30, 4e30]))
        tensor(5.0000e+30)
    """
    scale = vectors.detach().abs().amax(-1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)
    return torch.linalg.vector_norm(vectors / scale, dim=-1) * scale[..., 0]


def magnitude(x: Tensor) -> Tensor:
    """Return ``|x|`` with the slope 1 at 0, where that of ``abs()`` is 0: odd functions made of it keep theirs.

    Example:
        >>> x = torch.zeros((), requires_grad=True)
        >>> torch.autograd.grad(torch.where(x < 0, -torch.sinh(magnitude(x)), torch.sinh(magnitude(x))), x)
        (tensor(1.),)
    """
    return torch.where(x < 0, -x, x)


def normal_tail(x: Tensor) -> Tensor:
    """The probability of a standard normal beyond ``x`` on its side, ``Phi(-|x|)``, with all of its digits.

    ``torch.special.ndtr`` has lost them at -5 in single precision, at -9 in double.

    Example:
        >>> (normal_tail(torch.tensor([-10.0, 0.0, 10.0])) * 1e23).round(decimals=3)
        tensor([7.6200e-01, 5.0000e+22, 7.6200e-01])
    """
    return 0.5 * torch.erfc(magnitude(x) * math.sqrt(0.5))


def sum_event(values: Tensor, event_dims: int) -> Tensor:
    """Sum over the last ``event_dims`` dimensions.

    Example:
        >>> sum_event(torch.ones(5, 2, 3), 2)
        tensor([6., 6., 6., 6., 6.])
    """
    return values.sum(dim=tuple(range(-event_dims, 0))) if event_dims else values


def batch_shape(x: Tensor, event_dims: int) -> torch.Size:
    """Return the leading dimensions of ``x`` that are not its event's."""
    return x.shape[: x.dim() - event_dims]


def as_vectors(x: Tensor, event_shape: torch.Size) -> Tensor:
    """Return events ``batch_shape + event_shape`` as vectors ``batch_shape + (D,)``; a scalar is one of a dimension.

    Example:
        >>> as_vectors(torch.ones(4, 2, 3), torch.Size((2, 3))).shape, as_vectors(torch.ones(4), torch.Size()).shape
        (torch.Size([4, 6]), torch.Size([4, 1]))
    """
    return x.reshape(*batch_shape(x, len(event_shape)), event_shape.numel())


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Return ``|first_i - second_j|^2`` of vectors ``(N, D)`` and ``(M, D)``, ``(N, M)``.

    Example:
        >>> squared_distances(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        tensor([[ 0., 25.]])
    """
    # From differences: the product of the two, which cdist else takes, loses what is close to each other. Its
    # derivative at 0 is 0, as the square's is.
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").square()


def no_log_det(x: Tensor, event_dims: int) -> Tensor:
    """Return a log-determinant of zero for each event of ``x``, integers included.

    Example:
        >>> no_log_det(torch.ones(4, 3), 1)
        tensor([0., 0., 0., 0.])
    """
    dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    return torch.zeros(batch_shape(x, event_dims), dtype=dtype, device=x.device)


def check_event(x: Tensor, event_shape: Sequence[int], owner: str) -> None:
    """Raise :class:`ShapeError` unless ``x`` ends in ``event_shape``, in which -1 stands for any size."""
    found = x.shape[max(x.dim() - len(event_shape), 0) :]
    # Sizes are compared in one go where all are known, which is what a hot path sees.
    if found == event_shape:
        return
    if len(found) != len(event_shape) or any(a != b and b != -1 for a, b in zip(found, event_shape, strict=True)):
        raise ShapeError(
            f"{owner} expects events of shape {tuple(event_shape)} behind any batch dimensions, got a tensor of shape "
            f"{tuple(x.shape)}: reshape the data or build the part for this shape"
        )


def randn(like: Tensor, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of ``like``'s dtype and device."""
    return torch.randn(torch.Size(shape), dtype=like.dtype, device=like.device, generator=generator)


def rand(like: Tensor, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Uniform numbers in [0, 1) of ``like``'s dtype and device."""
    return torch.rand(torch.Size(shape), dtype=like.dtype, device=like.device, generator=generator)


def uniform_noise(like: Tensor, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Uniform numbers strictly between 0 and 1, so that their logarithms and logits are finite."""
    noise = rand(like, shape, generator)
    tiny = torch.finfo(like.dtype).eps / 2
    return noise.clamp(tiny, 1.0 - tiny)


def check_start(rows: Tensor, owner: str) -> None:
    """Raise :class:`DataError` unless there are values to start from, all of them finite."""
    if rows.shape[1] == 0:
        raise DataError(f"{owner} expects at least one event to start from, got an empty batch")
    wrong = int((~torch.isfinite(rows)).sum())
    if wrong:
        raise DataError(f"{owner} starts from finite values, got {wrong} that are not finite: remove those events")


def robust_location_and_scale(rows: Tensor, owner: str) -> tuple[Tensor, Tensor]:
    """Return the median of each row and a scale that few wild values cannot move; 1 where a row is constant.

    Where half of the values are equal and the quantiles give no scale, the standard deviation of the rest does.

    Raises:
        DataError: if there are no values.

    Example:
        >>> location, scale = robust_location_and_scale(torch.tensor([[1.0, 2.0, 3.0, 4.0, 1e9]]), "doctest")
        >>> location.item(), bool(scale < 1e9)
        (3.0, True)
    """
    check_start(rows, owner)
    levels = torch.tensor(NORMAL_QUANTILES, dtype=torch.float64, device=rows.device)
    median, low, high = torch.quantile(rows.double(), levels, dim=1)
    scale = 0.5 * (high - low)
    least = 8 * torch.finfo(rows.dtype).eps * torch.maximum(median.abs(), scale)
    fallback = _deviation_of_most(rows.double(), median)
    scale = torch.where(scale > least, scale, fallback)
    scale = torch.where((scale > least) & torch.isfinite(scale), scale, torch.ones_like(scale))
    return median.to(rows.dtype), scale.to(rows.dtype)


def _deviation_of_most(rows: Tensor, median: Tensor) -> Tensor:
    """The root of the mean square distance to the median, of all but the farthest half percent of values; of all where
    those are all at the median."""
    distance = (rows - median[:, None]).abs().sort(1).values
    most = distance[:, : max(1, round(0.995 * distance.shape[1]))].square().mean(1).sqrt()
    return torch.where(most > 0, most, distance.square().mean(1).sqrt())


def solve_triangular(
    matrix: Tensor, right: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """Solve ``matrix @ x = right``, or with ``left=False`` ``x @ matrix = right``, for ``x``, in half precision too.

    Example:
        >>> matrix = torch.tensor([[2.0, 0.0], [2.0, 1.0]]).half()
        >>> solve_triangular(matrix, matrix, upper=False)
        tensor([[1., 0.],
                [0., 1.]], dtype=torch.float16)
    """
    factors = at_least_single(matrix), at_least_single(right)
    solved = torch.linalg.solve_triangular(*factors, upper=upper, left=left, unitriangular=unitriangular)
    return solved.to(right.dtype)


def at_least_single(x: Tensor) -> Tensor:
    """Return numbers in single precision where they are in half: torch factorises no matrices of less.

    Example:
        >>> at_least_single(torch.ones(2, dtype=torch.bfloat16)).dtype, at_least_single(torch.ones(2).double()).dtype
        (torch.float32, torch.float64)
    """
    return x.float() if x.dtype in HALF else x

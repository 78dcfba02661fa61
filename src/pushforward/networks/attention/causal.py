"""The causal transformer: attention to what came before."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.recording import is_transformed, recording_nothing
from pushforward.networks.attention.block import Cache, CausalBlock, FilledCache, GrownCache
from pushforward.networks.causal import CausalNetwork, Choose
from pushforward.networks.context import Context, check_context


class CausalTransformer(CausalNetwork):
    r"""A transformer whose outputs for a token depend on the tokens before it alone.

    The variables come as ``T`` tokens of ``token`` variables each: numbers of a table one by one, the channels of a
    moment in a series, the pixels of a patch. What stands at place ``t`` is the token before it (at the first place a
    learned start), where it stands, and the context:

    .. math:: h_t = W x_{t-1} + p_t + V c, \qquad h \leftarrow \mathrm{block}_l(h), \qquad
        y_t = W' \mathrm{norm}(h_t),

    with blocks of causal attention. All variables of a token are answered for at once, by what was before the token.
    The last layer starts at zero.

    :meth:`forward` is one pass over all tokens. :meth:`generate` keeps the keys and values of the tokens so far: each
    new one costs its own column of every layer and a look at those before, where a pass for each token would compute
    all of them anew.

    Under autocast the attention is computed in half precision, the outputs in the precision of the weights.

    Args:
        inputs: the number of variables ``D``, in the order of their dependence.
        outputs: the number of outputs, a multiple ``P`` of the variables, in the order of :class:`CausalNetwork`.
        context: features of the context, 0 for none; every output sees all of it.
        token: how many variables a token has.
        hidden: the width of a token in the network, a multiple of ``heads``.
        blocks: blocks of attention and a network of each token.
        heads: attention heads.
        dropout: the share of what a block adds that training leaves out.
        numbers: how many numbers a variable is, ``F``.

    Shapes: ``x`` is ``(..., D F)``, the result ``(..., P D)``, by variable as in :class:`CausalNetwork`.

    Raises:
        UsageError: if the sizes do not fit each other.
        ShapeError: if the context is missing or does not fit.

    Source: Zhai et al. (2024), Normalizing Flows are Capable Generative Models, arXiv:2412.06329; as a conditioner of
    vectors, Patacchiola et al. (2024), Transformer Neural Autoregressive Flows, arXiv:2401.01855.

    Example:
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Autoregressive
        >>> layer = Autoregressive(6, Affine(), CausalTransformer(6, 12, token=2, hidden=8))
        >>> layer(torch.ones(5, 6))[0].shape
        torch.Size([5, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        token: int = 1,
        hidden: int = 64,
        blocks: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers)
        if token < 1 or inputs % token:
            raise UsageError(f"CausalTransformer expects inputs to be a multiple of token={token}, got inputs={inputs}")
        if heads < 1 or hidden < 1 or hidden % heads:
            raise UsageError(f"CausalTransformer expects hidden to be a multiple of heads={heads}, got hidden={hidden}")
        if blocks < 1 or not 0 <= dropout < 1:
            raise UsageError(
                f"CausalTransformer expects blocks of at least 1 and dropout from 0 to below 1, got blocks={blocks}, "
                f"dropout={dropout}"
            )
        self.token, self.tokens = token, inputs // token
        features = 0 if self.context is None else self.context.features_shape[0]
        self.first = nn.Linear(token * numbers, hidden)
        self.start = nn.Parameter(0.02 * torch.randn(hidden))
        self.places = nn.Parameter(0.02 * torch.randn(self.tokens, hidden))
        self.context_linear = nn.Linear(features, hidden, bias=False) if features else None
        self.blocks = nn.ModuleList(CausalBlock(hidden, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden)
        self.last = nn.Linear(hidden, token * self.per_input)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.checked(x, context)
        batch = x.shape[:-1]
        tokens = x.reshape(-1, self.tokens, self.token * self.numbers)
        start = self.start.expand(len(tokens), 1, -1)
        h = torch.cat([start, self.first(tokens[:, :-1]).to(start.dtype)], 1) + self.places
        term = self._context_term(batch, context)
        if term is not None:
            h = h + term
        for block in self.blocks:
            h = block(h)
        # (N, T, P, token) -> (N, P, T, token)
        outputs = self._answer(h).unflatten(-1, (self.per_input, self.token)).transpose(1, 2)
        return outputs.reshape(*batch, self.outputs)

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> None:
        check_context(context, self.context, type(self).__name__)
        rows = math.prod(batch)
        term = self._context_term(batch, context)
        seen = self.start.expand(rows, 1, -1)
        with recording_nothing():
            caches = [self._cache() for _ in self.blocks]
            for index in range(self.tokens):
                h = seen + self.places[index]
                if term is not None:
                    h = h + term
                for block, cache in zip(self.blocks, caches, strict=True):
                    h = block.step(h, cache)  # type: ignore[operator]
                outputs = self._answer(h[:, 0]).unflatten(-1, (self.per_input, self.token)).permute(2, 0, 1)
                chosen = choose(slice(index * self.token, (index + 1) * self.token), outputs)
                if index + 1 < self.tokens:
                    seen = self.first(chosen.t()[:, None])

    def _answer(self, h: Tensor) -> Tensor:
        """The outputs of tokens ``(..., hidden)``. Half precision would round what they scale and shift by."""
        with torch.autocast(h.device.type, enabled=False):
            return self.last(self.norm(h.to(self.last.weight.dtype)))

    def _context_term(self, batch: torch.Size, context: Tensor | None) -> Tensor | None:
        """What the context adds to every token, ``(N, 1, hidden)``."""
        if self.context_linear is None or context is None:
            return None
        term = self.context_linear(context)
        return term.expand(*batch, -1).reshape(math.prod(batch), 1, term.shape[-1])

    def _cache(self) -> Cache:
        grows = torch.is_grad_enabled() or is_transformed()
        return GrownCache() if grows else FilledCache(self.tokens)

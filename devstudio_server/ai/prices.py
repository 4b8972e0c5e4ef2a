"""What models cost: the operator's prices first, then those bundled with `genai-prices`. Nothing outside is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, TieredPrices

from devstudio_server.ai.endpoints import TokenPrice
from devstudio_server.ai.metering import CountedTokens
from devstudio_server.ai.schemas import Provider
from devstudio_server.kit.clock import now

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class PriceBook:
    """Prices by model. ``overrides`` maps ids (``openai/my-model``) or bare names to the operator's prices.

    ``endpoint`` is the server that has the model, where that is not the provider's own.
    """

    overrides: Mapping[str, TokenPrice]

    def price(self, provider: Provider, name: str, endpoint: str = "") -> TokenPrice | None:
        """Return the price per million tokens, ``None`` when nobody knows it. A tiered price gives its first tier."""
        if provider is Provider.OFFLINE:
            return TokenPrice(Decimal(0), Decimal(0))
        return self._override(endpoint or provider, name) or _bundled_price(_model_info(provider, name))

    def context_window(self, provider: Provider, name: str) -> int | None:
        """Return how many tokens the model takes in, ``None`` when unknown."""
        info = None if provider is Provider.OFFLINE else _model_info(provider, name)
        return info.context_window if info else None

    def cost(self, provider: Provider, name: str, tokens: CountedTokens, endpoint: str = "") -> Decimal:
        """Return the cost of one call in US dollars; tiers and cached tokens count where the bundled price knows them.

        Raises ``LookupError`` for a model without a price; `price` tells beforehand.
        """
        if provider is Provider.OFFLINE:
            return Decimal(0)
        override = self._override(endpoint or provider, name)
        if override is not None:
            return (tokens.input * override.input + tokens.output * override.output) / _MILLION
        usage = Usage(
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cache_read_tokens=tokens.cache_read,
            cache_write_tokens=tokens.cache_write,
        )
        return calc_price(usage, name, provider_id=provider.value).total_price

    def worst_cost(self, provider: Provider, name: str, tokens: CountedTokens, endpoint: str = "") -> Decimal:
        """Return the most that ``tokens`` may cost: some providers charge more for what their cache takes."""
        written = replace(tokens, cache_read=0, cache_write=tokens.input)
        return max(self.cost(provider, name, tokens, endpoint), self.cost(provider, name, written, endpoint))

    def _override(self, endpoint: str, name: str) -> TokenPrice | None:
        return self.overrides.get(f"{endpoint}/{name}") or self.overrides.get(name)


def _model_info(provider: Provider, name: str) -> ModelInfo | None:
    try:
        return get_snapshot().find_provider_model(name, None, provider.value, None)[1]
    except LookupError:
        return None


def _bundled_price(info: ModelInfo | None) -> TokenPrice | None:
    if info is None:
        return None
    prices = info.get_prices(now())
    if prices.input_mtok is None or prices.output_mtok is None:
        return None  # billed by something other than text tokens
    return TokenPrice(_first_tier(prices.input_mtok), _first_tier(prices.output_mtok))


def _first_tier(price: Decimal | TieredPrices) -> Decimal:
    return price.base if isinstance(price, TieredPrices) else price

"""The playground: a page, served by this machine to itself, on which a flow learns a density while one watches."""

from pushforward.playground.server import serve

__all__ = ["serve"]
